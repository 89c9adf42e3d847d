"""A SQLite file with one writer and a reader connection a thread, as tables and index use it.

It must never answer a commit before it is on the disk: positions on the log move on after it.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from millrace.sinks.busy import busy_errors

# How long a statement waits for another process's transaction, which takes milliseconds.
BUSY_TIMEOUT_S = 10.0


class Database:
    """Open from the constructor to `close`; any thread may call. Never carry one over a fork.

    `path` None is a database in memory, for tests and the simulator. Raises StoreBusy.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._write_lock = threading.RLock()
        self._local = threading.local()
        self._open_lock = threading.Lock()
        self._opened: list[sqlite3.Connection] = []
        with busy_errors():
            self._writer = self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path or ":memory:",
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        with self._open_lock:
            self._opened.append(connection)
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed on leaving, rolled back where something is raised."""
        with self._write_lock, busy_errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back by itself.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees what is committed; fetch what you need before leaving."""
        if self._path is None:
            with self._write_lock:
                yield self._writer
            return
        with busy_errors():
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._connect()
                self._local.connection = connection
            yield connection

    def close(self) -> None:
        """Closes every thread's connection; nobody may be inside a call."""
        with self._open_lock:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
