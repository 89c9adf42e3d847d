"""`millrace gateway` and `millrace edge`: the doors of a cluster, any number of each."""

import sys
from collections.abc import Callable, Coroutine
from typing import Any

import click
import uvloop
from aiohttp import web

from millrace.deploy.cli.cluster import with_cluster
from millrace.deploy.collecting import collect_rarely
from millrace.deploy.keys import NoKeys
from millrace.deploy.serving import address, listen, serve
from millrace.deploy.settings import SettingError, Settings

PORT = click.option("--port", type=int, help="Port to listen on; 0 takes a free one.")


@click.command("gateway")
@PORT
@with_cluster("port")
def gateway_command(given: Settings) -> None:
    """Serve the HTTP API and the pages; prints `ready http://HOST:PORT` when it answers.

    It starts, and stays, whatever of Kafka, Cassandra, S3 and Redis is down.
    """
    run(lambda: gateway(given))


@click.command("edge")
@PORT
@with_cluster("objects_port")
def edge_command(given: Settings) -> None:
    """Serve what players read, to those whose address is signed."""
    run(lambda: edge(given))


def run(process: Callable[[], Coroutine[Any, Any, None]]) -> None:
    collect_rarely()
    try:
        uvloop.run(process())
    except (OSError, NoKeys, SettingError) as problem:
        raise click.ClickException(f"it can't start: {problem}") from problem


async def gateway(given: Settings) -> None:
    from millrace.deploy.composition_gateway import GatewayProcess  # noqa: PLC0415

    listening = listen(given.host, given.port)
    process = GatewayProcess(given)
    try:
        await serve(process.app(), listening, lambda: ready(address(listening)))
    finally:
        await process.close()


async def edge(given: Settings) -> None:
    from millrace.deploy.composition_gateway import edge_app  # noqa: PLC0415

    listening = listen(given.host, given.objects_port)
    app: web.Application = edge_app(given)
    await serve(app, listening, lambda: ready(address(listening)))


def ready(url: str) -> None:
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()
