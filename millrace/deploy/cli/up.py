"""`millrace up`: the whole platform in one process and a pool of media workers."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvloop
from aiohttp import web

from millrace.deploy.cli.shell import read_settings
from millrace.deploy.client import SERVER_FILE
from millrace.deploy.collecting import collect_rarely
from millrace.deploy.keys import write_private
from millrace.deploy.settings import Settings
from millrace.sinks.ports import StoreBusy
from millrace.streams.embedded.lock import DirectoryLocked

if TYPE_CHECKING:
    from millrace.deploy.composition import Installation

SHUTDOWN_S = 10.0


@click.command("up")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder that holds everything.")
@click.option("--port", type=int, help="Port of the gateway; 0 takes a free one.")
@click.option("--host", help="Address to listen on.")
def up_command(data_dir: Path | None, port: int | None, host: str | None) -> None:
    """Serve; prints `ready http://HOST:PORT` when it answers."""
    given = read_settings(data_dir=data_dir, port=port, host=host)
    collect_rarely()
    try:
        failure = uvloop.run(serve(given))
    except DirectoryLocked as problem:
        raise click.ClickException(str(problem)) from problem
    except (OSError, StoreBusy) as problem:
        raise click.ClickException(f"it can't start: {problem}") from problem
    if failure is not None:
        # A bug: whoever supervises this process starts it again, and nothing is lost.
        raise failure


async def serve(given: Settings) -> BaseException | None:
    """Serves until it is told to stop; the bug that stopped it otherwise."""
    # Not where the other commands pay for it.
    from millrace.deploy.composition import Installation  # noqa: PLC0415

    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    failures: list[BaseException] = []

    def crashed(bug: BaseException) -> None:
        failures.append(bug)
        loop.call_soon_threadsafe(stopping.set)

    installation = Installation(given, crashed)
    runner = web.AppRunner(installation.app(), access_log=None, shutdown_timeout=SHUTDOWN_S)
    try:
        await installation.start()
        await runner.setup()
        await web.SockSite(runner, installation.listening).start()
        announce(given, installation)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await stopping.wait()
    finally:
        await runner.cleanup()
        await asyncio.to_thread(installation.close)
    (given.data_dir / SERVER_FILE).unlink(missing_ok=True)
    return failures[0] if failures else None


def announce(given: Settings, installation: Installation) -> None:
    """Says where it is, to the command line's other commands and to whoever reads."""
    place = {"url": installation.url, "objects_url": installation.objects_url}
    write_private(given.data_dir / SERVER_FILE, json.dumps(place))
    sys.stdout.write(f"ready {installation.url}\n")
    sys.stdout.flush()
