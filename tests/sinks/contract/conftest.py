"""Every implementation of objects and tables: the suites beside this run over each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from millrace.sinks.ports import Objects, Tables
from millrace.sinks.s3_objects import S3Objects
from millrace.sinks.sqlite_tables import SqliteTables
from tests.sinks.cassandra_space import CassandraSpace
from tests.sinks.contract.rows import SESSIONS, VIDEOS
from tests.sinks.door_client import Clock, open_store
from tests.sinks.s3_store import RealClock, emptied, fresh_bucket, s3_store
from tests.stack.servers import SharedS3

Opened = tuple[Objects, int]


@pytest.fixture(scope="module")
def s3_objects(s3_server: SharedS3) -> Iterator[S3Objects]:
    """One store for many tests: a client takes half a second to make."""
    with s3_store(fresh_bucket(s3_server)) as store:
        yield store


@pytest.fixture(params=["directory", "s3"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """An empty store and a minute from now, by its clock."""
    if request.param == "directory":
        with open_store(tmp_path / "store") as opened:
            yield opened.store, opened.clock.in_ms(60_000)
        return
    yield emptied(request.getfixturevalue("s3_objects")), RealClock().in_ms(60_000)


@pytest.fixture
def objects(opened: Opened) -> Objects:
    return opened[0]


@pytest.fixture
def soon_ms(opened: Opened) -> int:
    return opened[1]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "sqlite in memory", "cassandra"])
def tables(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Tables]:
    if request.param == "cassandra":
        space: CassandraSpace = request.getfixturevalue("cassandra_space")
        made = space.tables(clock.now_ms)
        made.create([VIDEOS, SESSIONS])
        yield made
        space.empty()
        return
    path = None if request.param == "sqlite in memory" else tmp_path / "tables.sqlite"
    opened = SqliteTables(path, clock.now_ms)
    opened.create([VIDEOS, SESSIONS])
    yield opened
    opened.close()
