"""The one SQLite file of the embedded engine: its tables, its durability, its errors.

What a commit survives: kill -9 of the process, because SQLite's write-ahead log is a file and not
memory; and loss of power, because with synchronous=FULL the log is synced before COMMIT returns (on
macOS with F_FULLFSYNC). Nothing is acknowledged before that. This module must never interpret a
record or a state; it stores bytes.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from millrace.sinks.ports import StoreBusy, StoreFull

FILE_NAME = "engine.sqlite"
# How long another process's transaction is waited for. Only a backup tool ever holds the file.
BUSY_TIMEOUT_S = 2.0
CACHE_KIB = 64 * 1024

# A record's place packs topic, partition and offset into SQLite's integer key, so that appending
# touches one B-tree at its end, and a range of offsets is a range of keys.
OFFSET_BITS = 40
PARTITION_BITS = 12

SCHEMA = """
CREATE TABLE IF NOT EXISTS names (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name));
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    place INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, append_ms INTEGER NOT NULL,
    key BLOB NOT NULL, value BLOB NOT NULL, id TEXT, at_ms INTEGER, cause TEXT NOT NULL,
    origin TEXT NOT NULL, traceparent TEXT NOT NULL, tenant TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS given_ids (
    topic INTEGER, id TEXT, place INTEGER NOT NULL, PRIMARY KEY (topic, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (
    step INTEGER, topic INTEGER, partition INTEGER, next INTEGER NOT NULL,
    PRIMARY KEY (step, topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (
    step INTEGER, partition INTEGER, key BLOB, value BLOB NOT NULL, due_ms INTEGER,
    PRIMARY KEY (step, partition, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parked (
    step INTEGER, partition INTEGER, key BLOB, number INTEGER, place INTEGER NOT NULL,
    part INTEGER NOT NULL, PRIMARY KEY (step, partition, key, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS done (
    step INTEGER, topic INTEGER, partition INTEGER, offset INTEGER,
    PRIMARY KEY (step, topic, partition, offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS redriven (
    step INTEGER, place INTEGER, PRIMARY KEY (step, place)) WITHOUT ROWID;
"""
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    f"PRAGMA cache_size = -{CACHE_KIB}",
    # A checkpoint copies pages out of the log; a longer log copies a hot page once, not ten times.
    "PRAGMA wal_autocheckpoint = 4000",
)

# The tables' stores have the same sets; a test holds them together.
FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
HELD = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
FAILING = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
}

RECORD_COLUMNS = (
    "place, sequence, append_ms, key, value, id, at_ms, cause, origin, traceparent, tenant"
)
RecordRow = tuple[int, int, int, bytes, bytes, str | None, int | None, str, str, str, str]


class Cursor(Protocol):
    """What is used of a cursor."""

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """What is used of sqlite3.Connection, so that a test may put a failing disk below."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any: ...
    def close(self) -> None: ...


Connect = Callable[[Path | None], Connection]


def connect(path: Path | None) -> Connection:
    """A connection to the file, or to a database in memory where the path is None."""
    return sqlite3.connect(
        path or ":memory:",
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


@contextmanager
def busy_errors() -> Iterator[None]:
    """SQLite's "full" and "busy" as the ports name them; every other error of SQLite is a bug.

    A disk that fails is busy: what was not acknowledged was undone, and comes again.
    """
    try:
        yield
    except sqlite3.OperationalError as problem:
        code = problem.sqlite_errorcode
        if code in FULL:
            raise StoreFull("the disk of the data directory is full") from problem
        if code & 0xFF in HELD:
            raise StoreBusy("another process holds the database of the engine") from problem
        if code & 0xFF in FAILING:
            raise StoreBusy(f"the database of the engine: {problem}") from problem
        raise


class Store:
    """The file, open for one writer thread; other threads read by `reader`.

    `path` None is a database in memory, whose one connection every thread of a test shares.
    """

    def __init__(self, path: Path | None, connect: Connect = connect) -> None:
        self.path = path
        self._connect = connect
        with busy_errors():
            self.connection = connect(path)
            for pragma in PRAGMAS:
                self.connection.execute(pragma)
            for statement in SCHEMA.split(";"):
                self.connection.execute(statement)
            rows = self.connection.execute("SELECT kind, name, number FROM names").fetchall()
        self._numbers: dict[tuple[str, str], int] = {(kind, name): n for kind, name, n in rows}

    def reader(self) -> Connection:
        """A connection of the calling thread's own that sees what is committed."""
        return self.connection if self.path is None else self._connect(self.path)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: durable on leaving, or undone. Raises StoreBusy, StoreFull."""
        connection = self.connection
        with busy_errors():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def number_of(self, kind: str, name: str) -> int:
        """The permanent number of a topic or step, made on first sight. Outside transactions."""
        number = self._numbers.get((kind, name))
        if number is None:
            with self.writing() as writer:
                writer.execute("INSERT INTO names (kind, name) VALUES (?, ?)", (kind, name))
            query = "SELECT number FROM names WHERE kind = ? AND name = ?"
            number = int(self.connection.execute(query, (kind, name)).fetchone()[0])
            self._numbers[kind, name] = number
        return number

    def partitions(self, wanted: int) -> int:
        """How many partitions the file has: what it was made with, `wanted` where it is new."""
        query = "SELECT value FROM settings WHERE name = 'partitions'"
        row = self.connection.execute(query).fetchone()
        if row is None:
            with self.writing() as writer:
                writer.execute("INSERT INTO settings VALUES ('partitions', ?)", (wanted,))
            return wanted
        found: int = row[0]
        return found

    def close(self) -> None:
        self.connection.close()


def read_range(connection: Connection, first: int, last: int, limit: int) -> list[RecordRow]:
    """Records by place, `last` inclusive, in order, `limit` at most."""
    query = f"SELECT {RECORD_COLUMNS} FROM records WHERE place BETWEEN ? AND ? LIMIT ?"
    with busy_errors():
        return connection.execute(query, (first, last, limit)).fetchall()
