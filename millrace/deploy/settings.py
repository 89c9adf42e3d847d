"""Every setting once: its default, the environment variable it is read from, and what it does.

The only module that reads the environment. docs/settings.md is generated from here.
"""

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from millrace.processors.media.probe import Limits

LIMITS = Limits()
PREFIX = "MILLRACE_"


class SettingError(Exception):
    """A variable that can't be what it is meant to be."""


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True, slots=True)
class Settings:
    """What an installation is told from outside; see each text."""

    data_dir: Path = _setting(Path("var/data"), "Folder of the log, tables, objects and keys.")
    host: str = _setting("127.0.0.1", "Address that the gateway and the object door listen on.")
    port: int = _setting(8080, "Port of the gateway; 0 takes a free one.")
    objects_port: int = _setting(
        0, "Port of the object door; 0 takes the port after the gateway's, or a free one."
    )
    public_url: str = _setting(
        "", "Address of the gateway as clients see it, behind a proxy; empty: as it listens."
    )
    trusted_proxies: int = _setting(
        0, "Proxies in front that append to X-Forwarded-For; rate limits go by what they say."
    )
    objects_url: str = _setting(
        "", "Address of the object door as clients see it; empty: as it listens."
    )
    workers: int = _setting(0, "Media worker processes; 0: one a core.")
    partitions: int = _setting(4, "Partitions of each topic; fixed when the data folder is made.")
    upload_size_bytes_max: int = _setting(256 << 30, "Largest file accepted, in bytes (ING-11).")
    upload_expires_s: int = _setting(86_400, "How long an upload session stays open, in seconds.")
    pixels_max: int = _setting(LIMITS.pixels_max, "Largest picture accepted, in pixels (ING-8).")
    frame_rate_max: int = _setting(
        LIMITS.frame_rate_max, "Highest frame rate accepted, frames a second."
    )
    duration_s_max: int = _setting(
        LIMITS.duration_ms_max // 1_000, "Longest source accepted, in seconds."
    )
    worker_memory_bytes_max: int = _setting(
        3 << 30, "Address space of a media worker, in bytes; 2160p with seven rungs needs 1.2 GB."
    )
    rotate_keys: bool = _setting(
        False, "1: sign tokens and addresses with new keys; the two before stay good (PLY-3)."
    )
    kill_at: str = _setting(
        "", "`POINT:N` kills the process at the n-th pass of a named point; only for crash tests."
    )
    token: str = _setting("", "Token that the command line sends; empty: the data folder's own.")
    server: str = _setting("", "Gateway that the command line talks to; empty: the data folder's.")


def variable(setting: Field[Any]) -> str:
    return PREFIX + setting.name.upper()


def read(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """The settings of the environment, with what was given on the command line over them.

    Raises SettingError for a value of the wrong type, and for a variable of ours that is unknown.
    """
    found = os.environ if environment is None else environment
    known = {variable(setting): setting for setting in fields(Settings)}
    values: dict[str, Any] = {}
    for name, text in found.items():
        if not name.startswith(PREFIX):
            continue
        if name not in known:
            raise SettingError(f"{name} is not a setting; docs/settings.md lists them")
        values[known[name].name] = parsed(name, text, known[name])
    values |= {name: value for name, value in given.items() if value is not None}
    return Settings(**values)


def parsed(name: str, text: str, setting: Field[Any]) -> Any:
    kind: type[Any] = type(setting.default)
    try:
        if kind is bool:
            return bool(("0", "1").index(text))
        return Path(text) if isinstance(setting.default, Path) else kind(text)
    except ValueError as problem:
        raise SettingError(f"{name}={text!r} is no {kind.__name__}") from problem


def table() -> str:
    """docs/settings.md."""
    lines = [
        "<!-- Generated from millrace/deploy/settings.py by `make docs`. Do not edit. -->",
        "# Settings",
        "",
        "Read from the environment; options of the command line go before them.",
        "",
        "| variable | default | what it does |",
        "|---|---|---|",
    ]
    for setting in fields(Settings):
        default = "empty" if setting.default == "" else f"`{setting.default}`"
        lines.append(f"| `{variable(setting)}` | {default} | {setting.metadata['text']} |")
    return "\n".join(lines) + "\n"
