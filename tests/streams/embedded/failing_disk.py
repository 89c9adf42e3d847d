"""A connection whose disk fails on the statements that a test names, and works again afterwards."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from millrace.streams.embedded.store import Cursor, Store, connect


class FailingDisk:
    """Statements with `fails_on` in them end with SQLite's error `code`."""

    def __init__(self, code: int = sqlite3.SQLITE_FULL) -> None:
        self.code = code
        self.fails_on: str | None = None
        self._inner = connect(None)

    def _look_at(self, sql: str) -> None:
        if self.fails_on is not None and self.fails_on in sql:
            error = sqlite3.OperationalError("the disk failed")
            error.sqlite_errorcode = self.code
            raise error

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        self._look_at(sql)
        return self._inner.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any:
        self._look_at(sql)
        return self._inner.executemany(sql, parameters)

    def close(self) -> None:
        self._inner.close()


def store_on(disk: FailingDisk) -> Store:
    def connect_to(path: Path | None) -> FailingDisk:
        return disk

    return Store(None, connect_to)
