"""Every setting once: its default, the environment variable it is read from, and what it does.

The only module that reads the environment. docs/settings.md is generated from here.
"""

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from millrace.processors.media.probe import Limits

LIMITS = Limits()
PREFIX = "MILLRACE_"


class SettingError(Exception):
    """A variable that can't be what it is meant to be."""


def _setting(default: Any, text: str, secret: bool = False) -> Any:
    return field(default=default, metadata={"text": text}, repr=not secret)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an installation is told from outside; see each text."""

    data_dir: Path = _setting(
        Path("var/data"), "Folder of keys and tokens; of log, tables and objects too under `up`."
    )
    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8080, "Port of the gateway; 0 takes a free one.")
    objects_port: int = _setting(
        0, "Port of the object door, or the edge; 0: the one after the gateway's, or a free one."
    )
    public_url: str = _setting(
        "", "Address of the gateway as clients see it, behind a proxy; empty: as it listens."
    )
    trusted_proxies: int = _setting(
        0, "Proxies in front that append to X-Forwarded-For; rate limits go by what they say."
    )
    objects_url: str = _setting(
        "",
        "Address of the object door as clients see it; empty: as it listens. On a cluster the"
        " edge's, which every gateway must be told.",
    )
    workers: int = _setting(
        0, "Media worker processes of `up`, or of each lane's worker; 0: one a core."
    )
    partitions: int = _setting(4, "Partitions of each topic; fixed when the topics are made.")
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
    keys_file: str = _setting(
        "",
        "File of the signing keys, the same for all gateways and edges; empty: the data folder's.",
    )
    rotate_keys: bool = _setting(
        False, "1: `up` signs with new keys; the two before stay good (PLY-3). See `millrace keys`."
    )
    kill_at: str = _setting(
        "", "`POINT:N` kills the process at the n-th pass of a named point; only for crash tests."
    )
    token: str = _setting(
        "", "Token that the command line sends; empty: the data folder's own.", secret=True
    )
    server: str = _setting("", "Gateway that the command line talks to; empty: the data folder's.")

    # What follows is of a cluster alone: `gateway`, `edge`, `worker` and what makes them ready.
    kafka: str = _setting("127.0.0.1:9092", "Kafka's brokers to ask first, HOST:PORT,HOST:PORT.")
    topic_prefix: str = _setting(
        "", "What names of topics, groups and transactions begin with, where others share Kafka."
    )
    replication: int = _setting(
        1, "Brokers that each topic is kept on; from 2 on an append is on two when it returns."
    )
    session_timeout_ms: int = _setting(
        10_000, "How long a silent worker keeps its partitions, in milliseconds."
    )
    cassandra: str = _setting("127.0.0.1", "Cassandra's hosts to ask first, HOST,HOST.")
    cassandra_port: int = _setting(9042, "Port of all of them.")
    cassandra_datacenter: str = _setting("datacenter1", "The datacenter that is ours there.")
    cassandra_replicas: int = _setting(1, "Copies of each row in it.")
    keyspace: str = _setting("millrace", "Keyspace of the decisions; the rows' add a number to it.")
    s3_endpoint: str = _setting(
        "http://127.0.0.1:7070", "Address of S3, or what speaks as it does."
    )
    s3_public_url: str = _setting(
        "", "Its address as browsers see it, which PUT parts there; empty: the same."
    )
    s3_bucket: str = _setting("millrace", "Bucket of all objects.")
    s3_region: str = _setting("us-east-1", "Its region.")
    s3_access_key: str = _setting("", "Who we are to S3.")
    s3_secret_key: str = _setting("", "The key to that.", secret=True)
    redis: str = _setting("redis://127.0.0.1:6379", "Redis; the address may hold a password.", True)
    redis_prefix: str = _setting("millrace:", "What its keys begin with.")
    worker_name: str = _setting(
        "",
        "Permanent name of a worker among its like: started again within the session timeout, it"
        " takes up its own partitions and nobody else notices. Empty: none.",
    )
    metrics_port: int = _setting(
        0,
        "Port of a worker's /metrics, /healthz and /readyz; `worker all` takes as many as it has"
        " children, from this one on. 0: any that are free.",
    )


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


def handed_on(given: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that is to have these settings, by name, and ours beside."""
    return os.environ | {PREFIX + name.upper(): text for name, text in given.items()}


def replaced(settings: Settings, **given: Any) -> Settings:
    """The same settings with these in place of theirs."""
    return replace(settings, **given)


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
