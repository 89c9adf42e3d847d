"""One transaction: everything that it changes, in memory first, then in SQLite, or not at all.

Memory follows the commit: whoever holds changes takes part in the transaction, writes them when it
is written, keeps them when it is durable and drops them when it failed. Nothing here may be
acknowledged or shown to another thread before `commit` returned.
"""

from collections.abc import Hashable
from typing import Any, Protocol

from millrace.schemas.envelope import Envelope, Recorded
from millrace.schemas.topics import Topic, partition_for
from millrace.streams import points
from millrace.streams.embedded.partitions import OFFSET_MAX, Partition, StoredRecord
from millrace.streams.embedded.store import Connection, Store
from millrace.streams.folding.records import Decode, carried
from millrace.streams.folding.transaction import FoldTransaction, Participant
from millrace.streams.points import At

INSERT_RECORD = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class StoredParticipant(Participant, Protocol):
    """A participant whose changes are written to the file with the transaction."""

    def write(self, connection: Connection) -> None:
        """Writes the changes; reads nothing."""
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

    def find(self, place: int) -> StoredRecord | None:
        """The record at a place, None where it was compacted away."""
        offset = place & OFFSET_MAX
        partition = self._by_base[place - offset]
        records = partition.read(self.store.connection, offset, offset + 1, 1)
        return records[0] if records else None

    def at(self, place: int) -> StoredRecord:
        """The record at a place; it must be there."""
        record = self.find(place)
        assert record is not None, f"no record at place {place}"
        return record

    def all(self) -> list[Partition]:
        return [partition for several in self.partitions.values() for partition in several]

    def partition_for(self, topic: str, key: bytes, event: Any = None) -> Partition:
        several = self.partitions[topic]
        return several[partition_for(several[0].topic, event, key, len(several))]


class Transaction(FoldTransaction):
    """Changes under way. `now_ms` is the append time of all its records."""

    def __init__(self, log: PartitionedLog, now_ms: int) -> None:
        self.log = log
        self.now_ms = now_ms
        self.records: list[StoredRecord] = []
        self.participants: dict[StoredParticipant, None] = {}

    def join(self, participant: StoredParticipant) -> None:
        """The participant has changes; it is told how the transaction ends."""
        self.participants[participant] = None

    def partition_for(self, topic: str, key: bytes, event: Any = None) -> Partition:
        return self.log.partition_for(topic, key, event)

    def find(self, place: Hashable) -> StoredRecord | None:
        assert isinstance(place, int)
        return self.log.find(place)

    def put(
        self,
        partition: Partition,
        key: bytes,
        value: bytes,
        event: Any,
        envelope: Envelope | None,
    ) -> StoredRecord:
        log, offset = self.log, partition.end
        record = StoredRecord(
            partition,
            offset,
            log.sequence,
            self.now_ms,
            key,
            value,
            *carried(envelope),
        )
        if event is not None and envelope is not None:
            record.seen = Recorded(
                event,
                envelope.id,
                envelope.at_ms,
                key,
                partition.topic.name,
                partition.index,
                offset,
                envelope.cause,
            )
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
