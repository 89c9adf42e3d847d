"""What every command shares: options, the client, JSON or words, and the exit code.

Exit 0: done. Exit 1: it failed, and the JSON says `state` and `error{code,text}`. Exit 2: usage.
"""

import asyncio
import functools
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from millrace.deploy import settings
from millrace.deploy.client import ApiError, Client, target
from millrace.deploy.settings import Settings

Answer = dict[str, Any]
console = functools.cache(lambda: Console(stderr=False))
notes = functools.cache(lambda: Console(stderr=True))


def with_server(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which gateway is meant, as one Settings argument `given`."""

    @click.option("--server", help="Address of the gateway; the data folder's own by default.")
    @click.option(
        "--data-dir", type=click.Path(path_type=Path), help="Data folder of a server on this host."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @functools.wraps(command)
    def wrapped(server: str | None, data_dir: Path | None, **given: Any) -> Any:
        return command(given=read_settings(server=server, data_dir=data_dir), **given)

    return wrapped


def read_settings(**given: Any) -> Settings:
    try:
        return settings.read(**given)
    except settings.SettingError as problem:
        raise click.UsageError(str(problem)) from problem


def run(
    given: Settings,
    role: str,
    work: Callable[[Client], Awaitable[Answer]],
    as_json: bool,
    show: Callable[[Answer], None],
) -> None:
    """Does the work, prints what came of it, and ends with the exit code."""
    try:
        found = asyncio.run(with_client(given, role, work))
    except ApiError as problem:
        found = {"state": "ERROR", "error": {"code": problem.code, "text": problem.text}}
    end(found, as_json, show)


async def with_client(
    given: Settings, role: str, work: Callable[[Client], Awaitable[Answer]]
) -> Answer:
    async with Client(target(given, role)) as client:
        return await work(client)


def moment(at_ms: int) -> str:
    """Milliseconds of the epoch, as people read time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(" ", "milliseconds")


def end(found: Answer, as_json: bool, show: Callable[[Answer], None]) -> None:
    failed = "error" in found
    if as_json:
        click.echo(json.dumps(found))
    elif failed:
        error = found["error"]
        notes().print(
            f"[red]{error['code']}[/red]: {error['text']}", highlight=False, soft_wrap=True
        )
    else:
        show(found)
    sys.exit(1 if failed else 0)
