"""The command line of the stack. It must never decide anything but what is printed."""

from collections.abc import Sequence
from pathlib import Path

import click

from millrace.deploy.stack import stack
from millrace.deploy.stack.downloads import Cache, NotFetched
from millrace.deploy.stack.places import CACHE, Places
from millrace.deploy.stack.prerequisites import Incomplete, Tools
from millrace.deploy.stack.processes import Unkillable
from millrace.deploy.stack.repair import repair
from millrace.deploy.stack.server import NotStarted, PortTaken, Server

FOLDER = click.option(
    "--folder", type=click.Path(path_type=Path), default=Places().folder, show_default=True,
    help="Folder of the servers' data, logs and pids.",
)  # fmt: skip
CACHE_FOLDER = click.option(
    "--cache", type=click.Path(path_type=Path), default=CACHE, show_default=True,
    help="Folder of the downloads.",
)  # fmt: skip
FAILURES = (Incomplete, NotFetched, NotStarted, PortTaken, Unkillable)


@click.group()
def main() -> None:
    """Kafka, Cassandra, S3 and Redis on loopback, without Docker."""


@main.command()
@FOLDER
@CACHE_FOLDER
def up(folder: Path, cache: Path) -> None:
    """Fetches what is missing, starts what is down, and returns when all four answer."""
    places, downloads = Places(folder.resolve()), Cache(cache.resolve())
    try:
        tools = stack.find_tools()
        tools.require(downloads.programs())
        downloads.fetch(tools, click.echo)
        with stack.alone(places.folder):
            show(stack.each(stack.bring_up, stack.servers(places, downloads, tools)))
    except FAILURES as failure:
        raise click.ClickException(str(failure)) from failure


@main.command()
@CACHE_FOLDER
def fetch(cache: Path) -> None:
    """Fetches what is missing, as far as the programs for it are there, and leaves nothing up."""
    downloads, tools = Cache(cache.resolve()), stack.find_tools()
    try:
        downloads.fetch(tools, click.echo)
        tools.require(downloads.programs())
    except FAILURES as failure:
        raise click.ClickException(str(failure)) from failure


@main.command()
@FOLDER
def stop(folder: Path) -> None:
    """Stops those that run: politely, then with force. What they stored stays."""
    with stack.alone(folder.resolve()):
        try:
            show(stack.each(stack.bring_down, described(folder)))
        except FAILURES as failure:
            raise click.ClickException(str(failure)) from failure


@main.command()
@FOLDER
def status(folder: Path) -> None:
    """Says which of them answer; exits with 1 where one does not."""
    states = stack.each(stack.state, described(folder))
    show(states)
    if any(state != stack.UP for _, state in states):
        raise click.exceptions.Exit(1)


@main.command("repair")
@click.argument("buckets", type=click.Path(path_type=Path, exists=True, file_okay=False))
def repair_command(buckets: Path) -> None:
    """Gives back the uploads that a crash hid under BUCKETS; for a versitygw started elsewhere."""
    for line in repair(buckets):
        click.echo(line)


def described(folder: Path) -> Sequence[Server]:
    """The servers of a folder, to be asked or stopped; nothing of them can be started."""
    return stack.servers(Places(folder.resolve()), Cache(CACHE.resolve()), Tools({}))


def show(states: Sequence[tuple[Server, str]]) -> None:
    for server, state in states:
        click.echo(f"{server.name:10} {server.address:16} {state}")
