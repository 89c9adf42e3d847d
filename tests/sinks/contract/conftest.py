"""Every implementation of each port, by name: the suite beside this runs over each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from millrace.sinks.inprocess_cache import InProcessCache
from millrace.sinks.ports import Cache, Objects, Tables
from millrace.sinks.sqlite_tables import SqliteTables
from tests.sinks.door_client import Clock, OpenStore, open_store


@pytest.fixture(params=["directory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    assert request.param == "directory"
    with open_store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def objects(opened: OpenStore) -> Objects:
    return opened.store


@pytest.fixture
def soon_ms(opened: OpenStore) -> int:
    """A minute from now, by the store's clock."""
    return opened.clock.in_ms(60_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "sqlite in memory"])
def tables(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Tables]:
    path = None if request.param == "sqlite in memory" else tmp_path / "tables.sqlite"
    made = SqliteTables(path, clock.now_ms)
    yield made
    made.close()


@pytest.fixture
async def cache_clock() -> Clock:
    return Clock(0)


@pytest.fixture(params=["in process"])
async def cache(request: pytest.FixtureRequest, cache_clock: Clock) -> Cache:
    assert request.param == "in process"
    return InProcessCache(lambda: cache_clock.at_ms / 1000, entries_max=100)
