"""Records that works and projections are to do again, kept until they have: a crash forgets none.

A record is here once for each step, however often an operator asked for it.
"""

from millrace.streams.embedded.store import Connection, Store
from millrace.streams.embedded.transaction import Transaction

# Number of the step, and place of the record.
Again = tuple[int, int]


class Redriven:
    """Takes part in transactions with what was asked for and what is done."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._statements: list[tuple[str, Again]] = []
        self._open()

    def _open(self) -> None:
        rows = self._store.connection.execute("SELECT step, place FROM redriven")
        self._pending: set[Again] = set(rows.fetchall())

    def of(self, step: int) -> list[int]:
        """Places of the records that the step has yet to do again, in order."""
        return sorted(place for number, place in self._pending if number == step)

    def add(self, tx: Transaction, step: int, place: int) -> bool:
        """Whether it was not asked for already."""
        if (step, place) in self._pending:
            return False
        self._pending.add((step, place))
        self._statements.append(("INSERT INTO redriven VALUES (?, ?)", (step, place)))
        tx.join(self)
        return True

    def done(self, tx: Transaction, step: int, place: int) -> None:
        """The step did it; nothing where nobody had asked."""
        if (step, place) in self._pending:
            self._pending.remove((step, place))
            statement = "DELETE FROM redriven WHERE step = ? AND place = ?"
            self._statements.append((statement, (step, place)))
            tx.join(self)

    def write(self, connection: Connection) -> None:
        for statement, parameters in self._statements:
            connection.execute(statement, parameters)

    def commit(self) -> None:
        self._statements.clear()

    def rollback(self) -> None:
        self._statements.clear()
        self._open()
