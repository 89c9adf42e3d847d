"""The partitioned log: records as they are stored, where partitions end, the newest in memory.

What is not committed must never be seen by another thread.
"""

from typing import Any

from millrace.schemas.topics import Topic
from millrace.streams.embedded.store import (
    OFFSET_BITS,
    PARTITION_BITS,
    Connection,
    RecordRow,
    read_range,
)
from millrace.streams.folding.records import Decode, Record

OFFSET_MAX = (1 << OFFSET_BITS) - 1

# Records of one partition that stay in memory; below that they are read back from the file.
TAIL_MIN = 1024
TAIL_MAX = 2 * TAIL_MIN


class StoredRecord(Record):
    """A record of the file; `sequence` orders all records of all partitions."""

    __slots__ = ("sequence",)
    partition: "Partition"

    def __init__(self, partition: "Partition", offset: int, sequence: int, *rest: Any) -> None:
        super().__init__(partition, offset, *rest)
        self.sequence = sequence

    @property
    def place(self) -> int:
        return self.partition.base | self.offset

    def row(self) -> RecordRow:
        return (
            self.partition.base | self.offset,
            self.sequence,
            self.append_ms,
            self.key,
            self.value,
            self.id,
            self.at_ms,
            self.cause,
            self.origin,
            self.traceparent,
            self.tenant,
        )


class Partition:
    """One partition of one topic. `end` is the next offset; `committed` the end others may see."""

    __slots__ = (
        "base",
        "committed",
        "decode",
        "end",
        "index",
        "number",
        "readers",
        "tail",
        "topic",
        "written_since",
    )

    def __init__(self, topic: Topic, number: int, index: int, decode: Decode) -> None:
        self.topic = topic
        self.number = number
        self.index = index
        self.decode = decode
        self.base = (number << PARTITION_BITS | index) << OFFSET_BITS
        self.end = self.committed = 0
        # First offset in memory, and the records from there on: one value, so that another thread
        # never sees the one without the other.
        self.tail: tuple[int, list[StoredRecord]] = (0, [])
        # Whatever must look when a record is appended; the engine's tasks put themselves here.
        self.readers: list[Any] = []
        # Records since the last compaction.
        self.written_since = 0

    def open(self, connection: Connection) -> int:
        """Finds the end; the highest sequence number in the partition, -1 where it is empty."""
        row = connection.execute(
            "SELECT place, sequence FROM records WHERE place BETWEEN ? AND ?"
            " ORDER BY place DESC LIMIT 1",
            (self.base, self.base | OFFSET_MAX),
        ).fetchone()
        self.end = self.committed = 0 if row is None else row[0] - self.base + 1
        self.tail = (self.end, [])
        return -1 if row is None else int(row[1])

    def read(self, connection: Connection, offset: int, end: int, limit: int) -> list[StoredRecord]:
        """Records from the offset on, below `end`, in order, `limit` at most.

        Offsets that were compacted away are passed over, so an answer may begin later than asked;
        it is empty only where there is no record left below `end`.
        """
        while offset < end:
            first, records = self.tail
            if offset >= first:
                return records[offset - first : min(offset + limit, end) - first]
            last = self.base | (min(first, end) - 1)
            rows = read_range(connection, self.base | offset, last, limit)
            if rows:
                return [StoredRecord(self, row[0] - self.base, *row[1:]) for row in rows]
            offset = first
        return []

    def commit(self) -> None:
        """What was appended may be seen; the tail lets go of what is long past."""
        self.committed = self.end
        _, records = self.tail
        if len(records) > TAIL_MAX:
            # A new list: another thread may be reading the old one.
            self.tail = (self.end - TAIL_MIN, records[-TAIL_MIN:])

    def rollback(self) -> None:
        first, records = self.tail
        del records[self.committed - first :]
        self.end = self.committed
