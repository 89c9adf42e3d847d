"""Keys whose fold raised, and the records that queue behind them, in order.

Retrying a pure function is pointless, so the key waits for a fix and a redrive while other keys go
on. A queue must never be taken apart out of order, nor lose a record that it was given.
"""

from typing import Any

from millrace.streams.embedded.store import Connection, Store
from millrace.streams.folding.records import Record

# Place of a record, and number of the part that a fold exploded it into.
Queued = tuple[int, int]


class Parking:
    """The parked keys of one fold in one partition."""

    def __init__(self, store: Store, step: int, partition: int) -> None:
        self._store = store
        self._where = (step, partition)
        self._numbers: dict[bytes, int] = {}
        self._statements: list[tuple[str, tuple[Any, ...]]] = []
        self.queues: dict[bytes, list[Queued]] = {}
        self._open()

    def _open(self) -> None:
        self.queues.clear()
        self._numbers.clear()
        rows = self._store.connection.execute(
            "SELECT key, number, place, part FROM parked WHERE step = ? AND partition = ?"
            " ORDER BY key, number",
            self._where,
        )
        for key, number, place, part in rows:
            self.queues.setdefault(key, []).append((place, part))
            self._numbers[key] = number + 1

    def add(self, key: bytes, record: Record, part: int) -> None:
        """The record queues behind the key, which is parked from now on."""
        number = self._numbers.get(key, 0)
        self._numbers[key] = number + 1
        self.queues.setdefault(key, []).append((record.place, part))
        self._statements.append(
            (
                "INSERT INTO parked VALUES (?, ?, ?, ?, ?, ?)",
                (*self._where, key, number, record.place, part),
            )
        )

    def release(self, key: bytes) -> list[Queued]:
        """The key goes on; what queued behind it, in order."""
        self._statements.append(
            ("DELETE FROM parked WHERE step = ? AND partition = ? AND key = ?", (*self._where, key))
        )
        return self.queues.pop(key, [])

    def write(self, connection: Connection) -> None:
        for statement, parameters in self._statements:
            connection.execute(statement, parameters)

    def commit(self) -> None:
        self._statements.clear()

    def rollback(self) -> None:
        self._statements.clear()
        self._open()
