"""The partitioned log: records, where partitions end, and the newest records in memory.

A record's event is handed on as the object that was encoded, so that a chain of steps in one
process decodes nothing twice. What is not committed must never be seen by another thread.
"""

from collections.abc import Callable
from typing import Any

from millrace.schemas import ids
from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.schemas.envelope import Recorded
from millrace.schemas.topics import Topic
from millrace.streams.embedded.store import (
    OFFSET_BITS,
    PARTITION_BITS,
    Connection,
    RecordRow,
    read_range,
)

OFFSET_MAX = (1 << OFFSET_BITS) - 1

# Records of one partition that stay in memory; below that they are read back from the file.
TAIL_MIN = 1024
TAIL_MAX = 2 * TAIL_MIN

Decode = Callable[[bytes], Any]


class Record:
    """A record as the engine keeps it. `recorded` decodes the value once, on first use."""

    __slots__ = (
        "append_ms",
        "at_ms",
        "cause",
        "id",
        "key",
        "offset",
        "origin",
        "partition",
        "seen",
        "sequence",
        "tenant",
        "traceparent",
        "value",
    )

    def __init__(
        self,
        partition: "Partition",
        offset: int,
        sequence: int,
        append_ms: int,
        key: bytes,
        value: bytes,
        id_: str | None,
        at_ms: int | None,
        cause: str,
        origin: str,
        traceparent: str,
        tenant: str,
    ) -> None:
        self.partition = partition
        self.offset = offset
        self.sequence = sequence
        self.append_ms = append_ms
        self.key = key
        self.value = value
        self.id = id_
        self.at_ms = at_ms
        self.cause = cause
        self.origin = origin
        self.traceparent = traceparent
        self.tenant = tenant
        self.seen: Recorded[Any] | None = None

    @property
    def place(self) -> int:
        return self.partition.base | self.offset

    @property
    def recorded(self) -> Recorded[Any]:
        """What steps see; event is None for a tombstone. Raises BadRecord, UnknownFingerprint."""
        if self.seen is None:
            self.seen = self._decoded()
        return self.seen

    @property
    def is_readable(self) -> bool:
        """Whether this build can decode the value."""
        try:
            return self.recorded is not None
        except (BadRecord, UnknownFingerprint):
            return False

    def _decoded(self) -> Recorded[Any]:
        partition, name = self.partition, self.partition.topic.name
        id_, at_ms = self.id, self.at_ms
        event: Any = None
        if not partition.topic.events:
            # Not ours: the bytes are the event, and what the envelope lacks follows from the place.
            event, at_ms = self.value, self.append_ms if at_ms is None else at_ms
            id_ = id_ or ids.derive("foreign", name, str(partition.index), str(self.offset))
        elif self.value:
            event = partition.decode(self.value)
        if id_ is None or at_ms is None:
            raise BadRecord("record without the headers id and at")
        return Recorded(event, id_, at_ms, self.key, name, partition.index, self.offset, self.cause)

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
        self.tail: tuple[int, list[Record]] = (0, [])
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

    def read(self, connection: Connection, offset: int, end: int, limit: int) -> list[Record]:
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
                return [Record(self, row[0] - self.base, *row[1:]) for row in rows]
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
