"""One partition of one lane as one work sees it: what is open, what is done, and how far.

Requests finish in any order. The position is the first request that is not done; marks beyond it
keep a restart from doing again what was finished. A mark must never be written before the last
result of its request.
"""

from typing import Any

from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.streams.declarations import Work
from millrace.streams.embedded.partitions import Partition, StoredRecord
from millrace.streams.embedded.store import Connection, Store

# Requests of one lane and partition that are held in memory, waiting for a slot.
OPEN_MAX = 1000
READ_MAX = 100


class Requests:
    """Takes part in transactions with its position and marks."""

    def __init__(
        self, work: Work, step: str, lane: int, partition: Partition, store: Store
    ) -> None:
        self.work = work
        self.lane = lane
        self.partition = partition
        # Records that are no events: for the dead letters, in the next transaction.
        self.bad: list[tuple[StoredRecord, str]] = []
        self.stopped: str | None = None
        self._store = store
        self._where = (store.number_of("step", step), partition.number, partition.index)
        where = "WHERE step = ? AND topic = ? AND partition = ?"
        row = store.connection.execute(
            f"SELECT next FROM positions {where}",
            self._where,
        ).fetchone()
        marks = store.connection.execute(f"SELECT offset FROM done {where}", self._where)
        self._fetched = self._position = row[0] if row else 0
        self._done = {offset for (offset,) in marks}
        # Offsets that are queued or in hand, in order.
        self._open: dict[int, None] = {}
        self._finished: list[int] = []

    def fetch(self) -> list[StoredRecord]:
        """Requests that are new since the last call, and of the types that the work takes.

        A record from the future holds up the lane's partition: it is looked at again every time.
        """
        end, taken = self.partition.committed, list[StoredRecord]()
        self.stopped = None
        while self._fetched < end and len(self._open) < OPEN_MAX and self.stopped is None:
            records = self.partition.read(self._store.connection, self._fetched, end, READ_MAX)
            try:
                for record in records:
                    self._look_at(record, taken)
            except UnknownFingerprint as unknown:
                self.stopped = str(unknown)
            if not records:
                self._fetched = end
        return taken

    def _look_at(self, record: StoredRecord, taken: list[StoredRecord]) -> None:
        """Passes over what is done or another work's. Raises UnknownFingerprint."""
        offset = record.offset
        if offset not in self._done:
            try:
                event: Any = record.recorded.event
            except BadRecord as bad:
                self._open[offset] = None
                self.bad.append((record, str(bad)))
            else:
                if not self.work.takes or isinstance(event, self.work.takes):
                    self._open[offset] = None
                    taken.append(record)
        self._fetched = offset + 1

    def finish(self, offset: int) -> None:
        """The request is done; the caller joins this to the transaction."""
        self._finished.append(offset)

    def write(self, connection: Connection) -> None:
        done = set(self._finished)
        position = next((offset for offset in self._open if offset not in done), self._fetched)
        marks = [offset for offset in self._finished if offset >= position]
        connection.executemany(
            "INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?)",
            [(*self._where, offset) for offset in marks],
        )
        if position != self._position:
            connection.execute(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)", (*self._where, position)
            )
            connection.execute(
                "DELETE FROM done WHERE step = ? AND topic = ? AND partition = ? AND offset < ?",
                (*self._where, position),
            )

    def commit(self) -> None:
        for offset in self._finished:
            self._open.pop(offset, None)
            self._done.add(offset)
        self._finished.clear()
        self.bad.clear()
        self._position = next(iter(self._open), self._fetched)
        self._done = {offset for offset in self._done if offset >= self._position}

    def rollback(self) -> None:
        self._finished.clear()
