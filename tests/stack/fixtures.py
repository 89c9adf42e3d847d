"""The fixtures that give tests real servers: `kafka`, `cassandra`, `s3_server`, `redis_server`,
and the factories of private ones.

Nothing is started before a test asks for it, and nothing is downloaded: `make test` has done that.
Where a server can't be had, its tests are skipped with the reason; where CI=true they fail.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeAlias

import pytest

from millrace.deploy.stack import stack
from millrace.deploy.stack.downloads import Cache
from millrace.deploy.stack.places import CACHE, Places
from millrace.deploy.stack.prerequisites import Incomplete, look
from millrace.deploy.stack.s3 import S3
from millrace.deploy.stack.server import Server
from tests.stack.runs import ROOT, Run
from tests.stack.servers import (
    PrivateS3,
    PrivateServer,
    S3Factory,
    ServerFactory,
    SharedS3,
    SharedServer,
)

NAMES = ("kafka", "cassandra", "s3", "redis")
PROGRAMS = {"kafka": ["java"], "cassandra": ["java"], "s3": [], "redis": ["redis-server"]}
RUN = pytest.StashKey[Run]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RUN] = Run()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[RUN].close()


class Source:
    """Where a run's servers come from: the shared four, and as many private ones as asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.tools = look()
        self.cache = Cache(ROOT / CACHE)

    def server(self, name: str, places: Places) -> Server:
        """Not started. Skips the test, or fails it where CI=true, if it can't be had."""
        reason = self.lacking(name)
        if reason and os.environ.get("CI") == "true":
            pytest.fail(reason)
        if reason:
            pytest.skip(reason)
        by_name = {one.name: one for one in stack.servers(places, self.cache, self.tools)}
        return by_name[name]

    def lacking(self, name: str) -> str:
        """Why there is no such server on this machine; empty where there is one."""
        try:
            self.tools.require(PROGRAMS[name])
        except Incomplete as missing:
            return str(missing)
        if self.cache.holds(name):
            return ""
        return f"NO {name.upper()}: it was not fetched; run `make stack-fetch`"

    def shared(self, name: str) -> Server:
        """The run's one server of that name, up."""
        server = self.server(name, self.run.places())
        with self.run.alone():
            stack.bring_up(server)
        return server

    def private(self, name: str) -> Server:
        """A server over a folder of its own, not started."""
        return self.server(name, self.private_places(name))

    def private_places(self, name: str) -> Places:
        """Ports and a folder of its own; what runs there ends with the run at the latest."""
        self.run.places()
        return Places.anywhere(Path(mkdtemp(prefix=f"{name}-", dir=self.run.folder)))


@pytest.fixture(scope="session")
def server_source(request: pytest.FixtureRequest) -> Source:
    return Source(request.config.stash[RUN])


@pytest.fixture(scope="session")
def kafka(server_source: Source) -> SharedServer:
    """A broker for all tests: topics, groups and transactional ids need random names."""
    return SharedServer(server_source.shared("kafka"))


@pytest.fixture(scope="session")
def cassandra(server_source: Source) -> SharedServer:
    """A node for all tests: keyspaces need random names."""
    return SharedServer(server_source.shared("cassandra"))


@pytest.fixture(scope="session")
def s3_server(server_source: Source) -> SharedS3:
    """An S3 server for all tests: buckets need random names."""
    return SharedS3(server_source.shared("s3"))


@pytest.fixture(scope="session")
def redis_server(server_source: Source) -> SharedServer:
    """A Redis for all tests: keys need a random prefix."""
    return SharedServer(server_source.shared("redis"))


PrivateServers: TypeAlias = Callable[[str], PrivateServer]


@contextmanager
def private_servers_of(source: Source) -> Iterator[PrivateServers]:
    """Makes private servers by name; whatever is left of them is killed and removed at the end."""
    made: list[PrivateServer] = []

    def make(name: str) -> PrivateServer:
        made.append(PrivateServer(source.private(name)))
        return made[-1]

    yield make
    for server in made:
        server.kill()
        shutil.rmtree(server.server.folder.parent, ignore_errors=True)


@pytest.fixture
def private_servers(server_source: Source) -> Iterator[PrivateServers]:
    with private_servers_of(server_source) as make:
        yield make


@pytest.fixture(scope="module")
def module_servers(server_source: Source) -> Iterator[PrivateServers]:
    """For a server that the tests of one file break in turn."""
    with private_servers_of(server_source) as make:
        yield make


@pytest.fixture
def kafka_factory(private_servers: PrivateServers) -> ServerFactory:
    return lambda: private_servers("kafka")


@pytest.fixture
def cassandra_factory(private_servers: PrivateServers) -> ServerFactory:
    return lambda: private_servers("cassandra")


@pytest.fixture
def redis_factory(private_servers: PrivateServers) -> ServerFactory:
    return lambda: private_servers("redis")


@pytest.fixture
def s3_factory(private_servers: PrivateServers) -> S3Factory:
    """Options are versitygw's, such as those of its event sinks."""

    def make(*options: str) -> PrivateS3:
        server = private_servers("s3").server
        assert isinstance(server, S3)
        return PrivateS3(replace(server, options=options))

    return make
