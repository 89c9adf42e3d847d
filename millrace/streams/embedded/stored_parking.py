"""Parked keys in the file: one row a record that queues."""

from typing import Any

from millrace.streams.embedded.partitions import StoredRecord
from millrace.streams.embedded.store import Connection, Store
from millrace.streams.folding.parking import Parking, Queued
from millrace.streams.folding.records import Record


class StoredParking(Parking):
    """The parked keys of one fold in one partition."""

    def __init__(self, store: Store, step: int, partition: int) -> None:
        super().__init__()
        self._store = store
        self._where = (step, partition)
        self._numbers: dict[bytes, int] = {}
        self._statements: list[tuple[str, tuple[Any, ...]]] = []
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
        assert isinstance(record, StoredRecord)
        super().add(key, record, part)
        number = self._numbers.get(key, 0)
        self._numbers[key] = number + 1
        self._statements.append(
            (
                "INSERT INTO parked VALUES (?, ?, ?, ?, ?, ?)",
                (*self._where, key, number, record.place, part),
            )
        )

    def release(self, key: bytes) -> list[Queued]:
        self._statements.append(
            ("DELETE FROM parked WHERE step = ? AND partition = ? AND key = ?", (*self._where, key))
        )
        return super().release(key)

    def write(self, connection: Connection) -> None:
        for statement, parameters in self._statements:
            connection.execute(statement, parameters)

    def commit(self) -> None:
        self._statements.clear()

    def rollback(self) -> None:
        self._statements.clear()
        self._open()
