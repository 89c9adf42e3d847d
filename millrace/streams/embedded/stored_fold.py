"""States of a fold in the file: one row a key, with the time at which it is due."""

from millrace.streams.declarations import Fold
from millrace.streams.embedded.store import Connection, Store
from millrace.streams.embedded.stored_parking import StoredParking
from millrace.streams.folding.keyed import KeyedFold
from millrace.streams.metrics import Metrics

UPSERT = "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?)"
DELETE = "DELETE FROM states WHERE step = ? AND partition = ? AND key = ?"


class StoredStates:
    """The states of one fold in one partition."""

    def __init__(self, store: Store, where: tuple[int, int]) -> None:
        self._store = store
        self._where = where

    def load(self, key: bytes) -> bytes | None:
        query = "SELECT value FROM states WHERE step = ? AND partition = ? AND key = ?"
        row = self._store.connection.execute(query, (*self._where, key)).fetchone()
        return None if row is None else row[0]

    def deadlines(self) -> list[tuple[int, bytes]]:
        query = (
            "SELECT due_ms, key FROM states WHERE step = ? AND partition = ? AND due_ms NOT NULL"
        )
        return self._store.connection.execute(query, self._where).fetchall()


class StoredFold(KeyedFold):
    """A fold whose changes are written to the file with the transaction."""

    def __init__(
        self, fold: Fold, topology: str, partition: int, store: Store, metrics: Metrics
    ) -> None:
        self._where = (store.number_of("step", f"{topology}/{fold.name}"), partition)
        states = StoredStates(store, self._where)
        super().__init__(fold, topology, states, StoredParking(store, *self._where), metrics)

    def write(self, connection: Connection) -> None:
        where, changed = self._where, self.changed
        connection.executemany(
            UPSERT,
            [
                (*where, key, held.value, held.deadline.at_ms if held.deadline else None)
                for key, held in changed.items()
                if held is not None
            ],
        )
        connection.executemany(
            DELETE, [(*where, key) for key, held in changed.items() if held is None]
        )
