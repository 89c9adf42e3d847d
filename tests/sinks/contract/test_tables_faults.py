"""What `Tables` promises while their store is slow, or down and back again."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest

from millrace.deploy.stack.places import free
from millrace.sinks.cassandra_session import CassandraPlace, CassandraSession
from millrace.sinks.ports import Column, Row, StoreBusy, Table, Tables, Version
from millrace.sinks.sqlite_tables import SqliteTables
from tests.sinks.cassandra_space import CassandraSpace
from tests.sinks.door_client import full_disk
from tests.stack.fixtures import PrivateServers
from tests.stack.servers import PrivateServer

NOTES = Table("notes", (Column("id", "text"),), (Column("n", "int"),), (Column("text", "text"),))
# OPS-7: all is as before this long after the server is.
BACK_WITHIN_S = 10.0
# Nobody waits for an answer longer than this, be it that the store is busy.
CALL_S_MAX = 5.0
SLOW_S = 2.5


def make_rows(offset: int, of: str = "one") -> list[Row]:
    """Rows in place of those of the call before, and one that stays."""
    text = "x" * 500 + str(offset)
    values = [{"id": f"{of} {n % 3}", "n": n, "text": text} for n in range(60)]
    values.append({"id": of, "n": offset, "text": ""})
    return [Row(each, Version(0, offset)) for each in values]


class Faulty(Protocol):
    """Tables whose store the test breaks; when a context is left, the store is there again."""

    tables: Tables

    def down(self) -> AbstractContextManager[None]: ...

    def slow(self) -> AbstractContextManager[None]: ...


class FaultySqlite:
    """Down is a full disk, slow is another process that writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened = SqliteTables(path, lambda: 0)
        self.tables: Tables = self.opened

    def down(self) -> AbstractContextManager[None]:
        return full_disk(20_000)

    @contextmanager
    def slow(self) -> Iterator[None]:
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.close()

    def close(self) -> None:
        self.opened.close()


class FaultyCassandra:
    """A server of its own: down is killed, slow stands still."""

    def __init__(self, server: PrivateServer, tables: Tables) -> None:
        self.server = server
        self.tables = tables

    @contextmanager
    def down(self) -> Iterator[None]:
        self.server.kill()
        yield
        # The last of its threads may hold its ports a moment longer.
        while not free(self.server.port):
            time.sleep(0.01)
        self.server.start()

    @contextmanager
    def slow(self) -> Iterator[None]:
        self.server.pause()
        yield
        self.server.resume()


@pytest.fixture(scope="module")
def faulty_cassandra(module_servers: PrivateServers) -> Iterator[FaultyCassandra]:
    server = module_servers("cassandra")
    server.start()
    session = CassandraSession(CassandraPlace((server.host,), server.port))
    yield FaultyCassandra(server, CassandraSpace(session).tables())
    session.close()


@pytest.fixture(params=["sqlite", "cassandra"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Faulty]:
    if request.param == "cassandra":
        yield request.getfixturevalue("faulty_cassandra")
        return
    made = FaultySqlite(tmp_path / "tables.sqlite")
    yield made
    made.close()


@pytest.fixture
def table(request: pytest.FixtureRequest, store: Faulty) -> Table:
    """Another for each test, so without rows."""
    name = request.node.originalname.removeprefix("test_")[:40]
    made = Table(name, NOTES.partition, NOTES.clustering, NOTES.columns)
    store.tables.create([made])
    return made


class Writer(threading.Thread):
    """Makes a call until it goes through, then the next, as projections do."""

    def __init__(self, call: Callable[[int], object]) -> None:
        super().__init__()
        self.call = call
        self.acknowledged = 0
        self.longest_s = 0.0
        self.done = threading.Event()
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            for offset in count(self.acknowledged + 1):
                while not self.went_through(offset) and not self.done.is_set():
                    time.sleep(0.05)
                if self.done.is_set():
                    return
        except BaseException as problem:  # noqa: BLE001 - told by the test's last assertion
            self.problem = problem

    def went_through(self, offset: int) -> bool:
        begin_s = time.monotonic()
        try:
            self.call(offset)
        except StoreBusy:
            return False
        finally:
            self.longest_s = max(self.longest_s, time.monotonic() - begin_s)
        self.acknowledged = offset
        return True

    def reaches(self, offset: int, within_s: float) -> float:
        """How long it took until that was acknowledged, in seconds."""
        begin_s = time.monotonic()
        while self.acknowledged < offset:
            assert self.problem is None
            assert time.monotonic() < begin_s + within_s, f"{self.acknowledged} of {offset}"
            time.sleep(0.01)
        return time.monotonic() - begin_s


@contextmanager
def writing(call: Callable[[int], object]) -> Iterator[Writer]:
    """Ended on leaving, whatever happened."""
    writer = Writer(call)
    writer.start()
    try:
        yield writer
    finally:
        writer.done.set()
        writer.join()
    assert writer.problem is None
    assert writer.longest_s < CALL_S_MAX


def digest_of_calls(table: Table, last: int, others: Iterable[Row] = ()) -> str:
    """Of a store that nothing happened to."""
    untroubled = SqliteTables(None, lambda: 0)
    untroubled.create([table])
    untroubled.upsert(table, others)
    for offset in range(1, last + 1):
        untroubled.upsert(table, make_rows(offset))
    return untroubled.digest(table)


def test_what_was_acknowledged_is_there_when_a_store_is_back_and_meanwhile_it_is_busy(
    store: Faulty, table: Table
) -> None:
    another = Writer(lambda offset: store.tables.upsert(table, make_rows(offset, "two")))
    with writing(lambda offset: store.tables.upsert(table, make_rows(offset))) as writer:
        writer.reaches(20, BACK_WITHIN_S)
        with store.down():
            for _ in range(3):
                assert not another.went_through(1)
        writer.reaches(writer.acknowledged + 5, BACK_WITHIN_S)
    assert another.went_through(1)
    assert another.longest_s < CALL_S_MAX
    last = writer.acknowledged
    assert store.tables.get(table, ("one",), (last,)) is not None
    assert store.tables.digest(table) == digest_of_calls(table, last, make_rows(1, "two"))


def test_what_is_slow_holds_nobody_up_for_long_and_loses_nothing(
    store: Faulty, table: Table
) -> None:
    with (
        writing(lambda offset: store.tables.upsert(table, make_rows(offset))) as writer,
        writing(lambda _: store.tables.get(table, ("one",), (1,))) as reader,
    ):
        writer.reaches(5, BACK_WITHIN_S)
        with store.slow():
            end_s = time.monotonic() + SLOW_S
            while time.monotonic() < end_s:
                time.sleep(0.05)
        for each in (writer, reader):
            each.reaches(each.acknowledged + 5, BACK_WITHIN_S)
    assert store.tables.digest(table) == digest_of_calls(table, writer.acknowledged)
