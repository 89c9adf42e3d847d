"""One transaction: everything that it changes, in memory first, then in SQLite, or not at all.

Memory follows the commit: whoever holds changes takes part in the transaction, writes them when it
is written, keeps them when it is durable and drops them when it failed. Nothing here may be
acknowledged or shown to another thread before `commit` returned.
"""

from typing import Any, Protocol

from millrace.schemas import codec, ids
from millrace.schemas.envelope import Recorded
from millrace.schemas.partitioning import partition_of
from millrace.schemas.topics import Topic
from millrace.streams import points
from millrace.streams.embedded.store import Connection, Store
from millrace.streams.folding.records import OFFSET_MAX, Decode, Partition, Record
from millrace.streams.points import At

# Topic, event and its encoding.
Output = tuple[Topic, Any, bytes]
# What a step saw, and the record that it stood in.
Cause = tuple[Recorded[Any], Record]

INSERT_RECORD = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Participant(Protocol):
    """Holds changes of a transaction; compared and hashed by identity."""

    def write(self, connection: Connection) -> None:
        """Writes the changes; reads nothing."""
        ...

    def commit(self) -> None:
        """The changes are durable."""
        ...

    def rollback(self) -> None:
        """The changes never were."""
        ...


class PartitionedLog:
    """All partitions of all topics, by name of the topic.

    `ready` is the ordered set of readers of partitions that were appended to; who reads takes
    himself out of it.
    """

    def __init__(
        self, store: Store, topics: tuple[Topic, ...], partitions: int, decode: Decode
    ) -> None:
        self.store = store
        self.partitions: dict[str, list[Partition]] = {}
        self.sequence = 0
        self.ready: dict[Any, None] = {}
        for topic in topics:
            number = store.number_of("topic", topic.name)
            count = min(partitions, topic.partitions)
            self.partitions[topic.name] = [
                Partition(topic, number, index, decode) for index in range(count)
            ]
        self._by_base = {partition.base: partition for partition in self.all()}
        for partition in self.all():
            highest = partition.open(store.connection)
            self.sequence = max(self.sequence, highest + 1)

    def find(self, place: int) -> Record | None:
        """The record at a place, None where it was compacted away."""
        offset = place & OFFSET_MAX
        partition = self._by_base[place - offset]
        records = partition.read(self.store.connection, offset, offset + 1, 1)
        return records[0] if records else None

    def at(self, place: int) -> Record:
        """The record at a place; it must be there."""
        record = self.find(place)
        assert record is not None, f"no record at place {place}"
        return record

    def all(self) -> list[Partition]:
        return [partition for several in self.partitions.values() for partition in several]

    def partition_for(self, topic: str, key: bytes) -> Partition:
        several = self.partitions[topic]
        return several[partition_of(key, len(several))]


class Transaction:
    """Changes under way. `now_ms` is the append time of all its records."""

    def __init__(self, log: PartitionedLog, now_ms: int) -> None:
        self.log = log
        self.now_ms = now_ms
        self.records: list[Record] = []
        self.participants: dict[Participant, None] = {}

    def join(self, participant: Participant) -> None:
        """The participant has changes; it is told how the transaction ends."""
        self.participants[participant] = None

    def emit(
        self, step: str, number: int, output: Output, cause: Cause, at_ms: int | None = None
    ) -> Record:
        """Appends the n-th output of a step; it inherits trace and tenant of its cause.

        A fold's output inherits the time too. What a work says is a fact from outside, of its own
        time, which is given: delays counted from a failure would be over before they began else.
        """
        topic, event, value = output
        recorded, record = cause
        key = topic.key(event)
        origin = f"{step} {recorded.topic} {recorded.partition} {recorded.offset} {number}"
        return self.put(
            self.log.partition_for(topic.name, key),
            key,
            value,
            event,
            ids.caused(step, recorded.id, number),
            recorded.at_ms if at_ms is None else at_ms,
            recorded.id,
            origin,
            record.traceparent,
            record.tenant,
        )

    def state_fact(self, topic: Topic, event: Any, where: Partition | None = None) -> Record:
        """Appends a fact of the engine's own, whose id follows from its place."""
        key = topic.key(event)
        partition = where or self.log.partition_for(topic.name, key)
        id_ = ids.caused(topic.name, str(partition.index), partition.end)
        return self.put(partition, key, codec.encode(event), event, id_, self.now_ms)

    def put(
        self,
        partition: Partition,
        key: bytes,
        value: bytes,
        event: Any,
        id_: str | None,
        at_ms: int | None,
        cause: str = "",
        origin: str = "",
        traceparent: str = "",
        tenant: str = "",
    ) -> Record:
        """Appends a record. `event` is what the value encodes, None where that is to be decoded."""
        log, offset = self.log, partition.end
        record = Record(
            partition,
            offset,
            log.sequence,
            self.now_ms,
            key,
            value,
            id_,
            at_ms,
            cause,
            origin,
            traceparent,
            tenant,
        )
        if event is not None and id_ is not None and at_ms is not None:
            name = partition.topic.name
            record.seen = Recorded(event, id_, at_ms, key, name, partition.index, offset, cause)
        log.sequence += 1
        partition.end = offset + 1
        partition.tail[1].append(record)
        self.records.append(record)
        for reader in partition.readers:
            log.ready[reader] = None
        return record

    def commit(self, at: At) -> None:
        """Durable on return. StoreBusy or StoreFull: nothing of it ever was, in memory neither."""
        try:
            at(points.BEFORE_WRITE)
            with self.log.store.writing() as connection:
                connection.executemany(INSERT_RECORD, [record.row() for record in self.records])
                for participant in self.participants:
                    participant.write(connection)
                at(points.BEFORE_COMMIT)
        except BaseException:
            self.rollback()
            raise
        for partition in {record.partition for record in self.records}:
            partition.commit()
        for participant in self.participants:
            participant.commit()
        at(points.AFTER_COMMIT)

    def rollback(self) -> None:
        """Forgets everything; readers look again at what was there before."""
        for partition in {record.partition for record in self.records}:
            partition.rollback()
        for participant in self.participants:
            participant.rollback()
