"""One batch on its way to Kafka: what it appends, and its one transaction.

Records are gathered in memory, in order, and handed to the producer as whole batches of a
partition, which costs a tenth of sending each. Nothing is visible to anybody who reads committed
records until the commit, and a transaction that fails must leave nothing that goes on living.
"""

import asyncio
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from millrace.schemas.envelope import Envelope, Headers, to_headers
from millrace.schemas.topics import Topic, partition_for
from millrace.streams.folding.records import Record, carried
from millrace.streams.folding.transaction import FoldTransaction, Participant
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.records import Partition

# A record on its way: key, value and headers; no value is a tombstone.
Outgoing = tuple[bytes, bytes | None, Headers]


class KafkaTransaction(FoldTransaction):
    """What one batch of a task appends. `found` are records that were fetched for a redrive."""

    def __init__(self, cluster: Cluster, topics: Mapping[str, Topic], now_ms: int) -> None:
        self._cluster = cluster
        self._topics = topics
        self.now_ms = now_ms
        self.participants: dict[Participant, None] = {}
        self.outgoing: dict[tuple[str, int], list[Outgoing]] = {}
        self.found: dict[Hashable, Record] = {}
        # Records by the name of their topic, those that were handed over already too.
        self.counts: Counter[str] = Counter()

    def join(self, participant: Participant) -> None:
        self.participants[participant] = None

    def partition_for(self, topic: str, key: bytes, event: Any = None) -> Partition:
        declared = self._topics[topic]
        return Partition(declared, partition_for(declared, event, key, self._cluster.partitions))

    def find(self, place: Hashable) -> Record | None:
        return self.found.get(place)

    def put(
        self,
        partition: Any,
        key: bytes,
        value: bytes,
        event: Any,
        envelope: Envelope | None,
    ) -> Record:
        """The record as it will be, but for its offset, which only the broker knows."""
        record = Record(partition, -1, self.now_ms, key, value, *carried(envelope))
        headers = [] if envelope is None else to_headers(envelope)
        place = self._cluster.topic(partition.topic), partition.index
        self.outgoing.setdefault(place, []).append((key, value or None, headers))
        self.counts[partition.topic.name] += 1
        return record

    @property
    def is_empty(self) -> bool:
        return not self.counts

    async def send(self, producer: AIOKafkaProducer) -> dict[tuple[str, int], list[int]]:
        """Hands over what was gathered; the offsets that each partition's records got, in order."""
        found: dict[tuple[str, int], list[int]] = {}
        for place, outgoing in self.outgoing.items():
            offsets = found[place] = []
            for future, count in await send_all(producer, place, outgoing, self.now_ms):
                first = (await future).offset
                offsets += range(first, first + count)
        self.outgoing.clear()
        return found

    async def hand_over(self, producer: AIOKafkaProducer) -> list["asyncio.Future[Any]"]:
        """As send, without waiting for the broker; what each batch's delivery is known by."""
        sent: list[asyncio.Future[Any]] = []
        for place, outgoing in self.outgoing.items():
            sent += [future for future, _ in await send_all(producer, place, outgoing, self.now_ms)]
        self.outgoing.clear()
        return sent


async def send_all(
    producer: AIOKafkaProducer, place: tuple[str, int], outgoing: Iterable[Outgoing], at_ms: int
) -> list[tuple["asyncio.Future[Any]", int]]:
    """Hands records of one partition to the producer, in order, as few batches.

    For each batch: what its delivery is known by, and how many records it has.
    """
    topic, index = place
    sent: list[tuple[asyncio.Future[Any], int]] = []

    async def hand(batch: BatchBuilder) -> None:
        count = batch.record_count()
        future = await producer.send_batch(batch, topic, partition=index)
        # Whoever commits asks what became of it; a life that has ended asks nobody.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        sent.append((future, count))

    batch = producer.create_batch()
    for key, value, headers in outgoing:
        if batch.append(timestamp=at_ms, key=key, value=value, headers=headers) is None:
            await hand(batch)
            batch = producer.create_batch()
            batch.append(timestamp=at_ms, key=key, value=value, headers=headers)
    if batch.record_count():
        await hand(batch)
    return sent
