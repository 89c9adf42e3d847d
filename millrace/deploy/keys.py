"""Keys and tokens of an installation: made once in its data folder, readable by its owner alone.

It must never print or log a key.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from millrace.deploy.client import TOKENS
from millrace.gateway.auth import Tokens

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


@dataclass(frozen=True, slots=True)
class Keys:
    """token signs JWTs, pseudonym turns subjects into ids, objects signs addresses."""

    token: bytes
    pseudonym: bytes
    objects: bytes


def open_keys(data_dir: Path) -> Keys:
    """The installation's keys; made, durably, at the first call."""
    place = data_dir / KEYS_FILE
    if not place.is_file():
        fresh = {name: secrets.token_hex(KEY_BYTES) for name in Keys.__slots__}
        write_private(place, json.dumps(fresh))
    found = json.loads(place.read_text())
    return Keys(**{name: bytes.fromhex(found[name]) for name in Keys.__slots__})


def write_tokens(data_dir: Path, tokens: Tokens) -> None:
    """A token file a role; kept from then on, so that a link that was copied stays good."""
    folder = data_dir / TOKENS
    folder.mkdir(exist_ok=True)
    for role, roles in ROLES.items():
        if not (folder / role).is_file():
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
