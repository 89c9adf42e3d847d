"""How far the steps are that keep no state in the engine: projections and redrives.

A position is written after what it stands for is durable, never before.
"""

from millrace.streams.embedded.partitions import Partition
from millrace.streams.embedded.store import Connection, Store
from millrace.streams.embedded.transaction import Transaction


class Positions:
    """Takes part in transactions with the positions that moved."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._moved: dict[tuple[int, int, int], int] = {}

    def stored(self, step: int, partition: Partition) -> int:
        """The next offset to read."""
        row = self._store.connection.execute(
            "SELECT next FROM positions WHERE step = ? AND topic = ? AND partition = ?",
            (step, partition.number, partition.index),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def put(self, tx: Transaction, step: int, partition: Partition, next_offset: int) -> None:
        self._moved[step, partition.number, partition.index] = next_offset
        tx.join(self)

    def write(self, connection: Connection) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)",
            [(*where, next_offset) for where, next_offset in self._moved.items()],
        )

    def commit(self) -> None:
        self._moved.clear()

    def rollback(self) -> None:
        self._moved.clear()
