"""Keys and tokens of an installation: made once in its data folder, readable by its owner alone.

It must never print or log a key.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millrace.deploy.client import TOKENS
from millrace.deploy.settings import Settings
from millrace.gateway.auth import Tokens
from millrace.sinks.signing import SigningKeys

KEYS_FILE = "keys.json"
KEY_BYTES = 32
TOKEN_LIFETIME_S = 10 * 365 * 86_400
# A token a role, for the person whose machine it is: the same subject, so that what he uploads he
# can also see as operator.
ROLES: dict[str, tuple[str, ...]] = {
    "creator": ("creator", "viewer"),
    "moderator": ("moderator", "viewer"),
    "operator": ("operator", "moderator", "creator", "viewer"),
}
SUBJECT = "local"


# The key that signs and the ones before it, which are still believed: long enough for every
# address and token that was given out before the last rotation.
KEPT = 2


@dataclass(frozen=True, slots=True)
class Keys:
    """token signs JWTs and objects signs addresses, newest first; pseudonym never changes.

    A key's id is its number from the first one on, so that a rotation moves no other.
    """

    token: tuple[bytes, ...]
    pseudonym: bytes
    objects: SigningKeys


class NoKeys(Exception):
    """A process of a cluster found no keys: it must not make its own, which nobody else has."""


def keys_place(settings: Settings) -> Path:
    """Where the keys are."""
    return Path(settings.keys_file) if settings.keys_file else settings.data_dir / KEYS_FILE


def read_keys(settings: Settings) -> Keys:
    """The keys that all processes of a cluster share. Raises NoKeys."""
    place = keys_place(settings)
    if not place.is_file():
        raise NoKeys(f"{place} is not there: `millrace keys` makes it, once for all processes")
    return keys_of(json.loads(place.read_text()))


def open_keys(place: Path, *, rotate: bool = False) -> Keys:
    """The installation's keys, made durably at the first call; rotate puts new ones in front."""
    if not place.is_file():
        write_private(place, json.dumps({"pseudonym": fresh(), "token": {}, "objects": {}}))
        rotate = True
    found = json.loads(place.read_text())
    if rotate:
        for name in ("token", "objects"):
            number = 1 + max(map(int, found[name]), default=0)
            found[name] = {str(number): fresh(), **found[name]}
            found[name] = dict(list(found[name].items())[: KEPT + 1])
        write_private(place, json.dumps(found))
    return keys_of(found)


def keys_of(found: dict[str, Any]) -> Keys:
    return Keys(
        token=tuple(bytes.fromhex(secret) for secret in found["token"].values()),
        pseudonym=bytes.fromhex(found["pseudonym"]),
        objects=SigningKeys(
            next(iter(found["objects"])),
            {name: bytes.fromhex(secret) for name, secret in found["objects"].items()},
        ),
    )


def fresh() -> str:
    return secrets.token_hex(KEY_BYTES)


def write_tokens(data_dir: Path, tokens: Tokens) -> None:
    """A token file a role, signed by the newest key at each start."""
    folder = data_dir / TOKENS
    folder.mkdir(exist_ok=True)
    for role, roles in ROLES.items():
        write_private(folder / role, tokens.mint(SUBJECT, roles, TOKEN_LIFETIME_S))


def write_private(place: Path, text: str) -> None:
    """Writes the file whole or not at all, for the owner alone, and durable."""
    fresh = place.with_name(place.name + ".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(place)
