"""Ids that callers gave: a fact that is appended again is found, not written twice."""

from millrace.streams.embedded.store import Connection, Store
from millrace.streams.embedded.transaction import Transaction


class GivenIds:
    """Takes part in transactions with the ids that are new."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._new: dict[tuple[int, str], int] = {}

    def find(self, topic: int, id_: str) -> int | None:
        """The place of the record that was appended with this id."""
        new = self._new.get((topic, id_))
        if new is not None:
            return new
        query = "SELECT place FROM given_ids WHERE topic = ? AND id = ?"
        row = self._store.connection.execute(query, (topic, id_)).fetchone()
        return None if row is None else int(row[0])

    def add(self, tx: Transaction, topic: int, id_: str, place: int) -> None:
        self._new[topic, id_] = place
        tx.join(self)

    def write(self, connection: Connection) -> None:
        connection.executemany(
            "INSERT INTO given_ids VALUES (?, ?, ?)",
            [(*key, place) for key, place in self._new.items()],
        )

    def commit(self) -> None:
        self._new.clear()

    def rollback(self) -> None:
        self._new.clear()
