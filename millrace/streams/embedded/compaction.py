"""Compacted topics keep the latest record of each key and let the older ones go.

The latest stays for ever, tombstones included: whoever projects the topic from its beginning ends
with the same rows, and the same versions, as whoever followed it. It must never touch a topic that
is not declared compacted, nor take away what a step has yet to read: an event may carry what was
before it, which no later one says again.
"""

from collections.abc import Collection, Mapping

from millrace.streams.embedded.partitions import Partition
from millrace.streams.embedded.positions import Positions
from millrace.streams.embedded.store import busy_errors
from millrace.streams.embedded.transaction import PartitionedLog

# A partition is compacted when it holds this many records, and again whenever it has doubled.
RECORDS_MIN = 2000


# Numbers of the steps that keep a position, by the topic that they read.
Readers = Mapping[str, Collection[int]]


class Compactor:
    """Counts what is appended and compacts lazily, so that its cost per record is constant."""

    def __init__(self, log: PartitionedLog, readers: Readers, positions: Positions) -> None:
        self._log = log
        self._readers = readers
        self._positions = positions
        self._partitions = [p for p in log.all() if p.topic.cleanup == "compact"]
        self._next_at = {p: p.committed + RECORDS_MIN for p in self._partitions}

    @property
    def is_due(self) -> bool:
        return any(p.committed >= self._next_at[p] for p in self._partitions)

    def run(self) -> int:
        """Compacts what is due, in transactions of its own; how many records went.

        Raises StoreBusy, StoreFull; what was not compacted then is still due.
        """
        return sum(
            self._compact(partition)
            for partition in self._partitions
            if partition.committed >= self._next_at[partition]
        )

    def _compact(self, partition: Partition) -> int:
        store = self._log.store
        span = (partition.base, partition.base | self._read_by_all(partition))
        query = "SELECT place, key FROM records WHERE place >= ? AND place < ? ORDER BY place"
        latest: dict[bytes, int] = {}
        old: list[tuple[int]] = []
        with busy_errors():
            for place, key in store.connection.execute(query, span):
                if key in latest:
                    old.append((latest[key],))
                latest[key] = place
        with store.writing() as connection:
            connection.executemany("DELETE FROM records WHERE place = ?", old)
        self._next_at[partition] = partition.committed + max(RECORDS_MIN, len(latest))
        return len(old)

    def _read_by_all(self, partition: Partition) -> int:
        """The offset below which every step has read."""
        readers = self._readers.get(partition.topic.name, ())
        with busy_errors():
            positions = [self._positions.stored(step, partition) for step in readers]
        return min(positions, default=partition.committed)
