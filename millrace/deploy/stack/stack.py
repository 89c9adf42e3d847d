"""The four servers as one: brought up together, asked together, stopped together.

It must never start a server twice: whoever is up already is left as it is.
"""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from millrace.deploy.stack.downloads import Cache
from millrace.deploy.stack.places import Places
from millrace.deploy.stack.prerequisites import Tools, install_redis, look
from millrace.deploy.stack.redis import Redis
from millrace.deploy.stack.s3 import S3
from millrace.deploy.stack.server import Server

UP, ALREADY_UP = "up", "up already"
STOPPED, KILLED, NOT_RUNNING = "stopped", "killed: it did not end in time", "not running"
DOWN, SILENT = "down", "running, but silent"


def find_tools() -> Tools:
    """The programs of this machine; Redis is installed where that asks nobody."""
    tools = look()
    return look() if "redis-server" not in tools and install_redis() else tools


def servers(places: Places, cache: Cache, tools: Tools) -> tuple[Server, ...]:
    """The four, in no order that matters: none needs another to start."""
    return (
        cache.kafka_server(tools, places),
        cache.cassandra_server(tools, places),
        S3(places.folder / S3.name, places.s3_port, str(cache.versitygw / "versitygw")),
        Redis(places.folder / Redis.name, places.redis_port, tools["redis-server"]),
    )


def bring_up(server: Server) -> str:
    """UP or ALREADY_UP, once it answers. Raises PortTaken, NotStarted."""
    if server.process is not None:
        server.wait()
        return ALREADY_UP
    server.begin()
    server.wait()
    return UP


def bring_down(server: Server) -> str:
    """STOPPED, KILLED or NOT_RUNNING. Raises Unkillable."""
    if server.process is None:
        return NOT_RUNNING
    return STOPPED if server.stop() else KILLED


def state(server: Server) -> str:
    """UP, SILENT or DOWN."""
    if server.process is None:
        return DOWN
    return UP if server.answers() else SILENT


def each(what: Callable[[Server], str], all_of_them: Sequence[Server]) -> list[tuple[Server, str]]:
    """What came of each, done at the same time. Raises the first failure once all have ended."""
    with ThreadPoolExecutor(len(all_of_them)) as pool:
        return list(zip(all_of_them, pool.map(what, all_of_them), strict=True))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else starts or stops the servers of this folder meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
