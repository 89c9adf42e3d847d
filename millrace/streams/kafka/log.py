"""The gateway's door to the log on Kafka: the port `Log` for any number of gateways.

What `append` returned from is on all replicas in sync. Nothing here waits for Kafka without a
bound: a broker that is away, or too slow, is StoreBusy, and found again when it is back.
"""

import asyncio
import secrets
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, cast

from aiokafka import TopicPartition

from millrace.schemas import codec, ids
from millrace.schemas.envelope import Envelope, Recorded, to_headers
from millrace.schemas.events import Event
from millrace.schemas.topics import TOPICS, Topic, partition_for
from millrace.sinks.ports import Append, Appended
from millrace.streams.folding.records import readable
from millrace.streams.kafka.appending import Appending
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.fetching import Fetching
from millrace.streams.kafka.following import Follower, follow
from millrace.streams.kafka.records import Partition, record_of

# Records that this log appended itself, kept for whoever reads at the place that it was told: a
# transaction of somebody else may hide them from readers for a while. 32 MiB at the most.
OWN_RECORDS_MAX = 1_024
OWN_BYTES_MAX = 32 << 10
# Measured with 256 callers: 17 to 61 thousand acknowledged appends a second at 19 to 36 us of CPU,
# 11 to 49 thousand at 23 to 42 us without a wait; a lone caller hardly waits longer.
LINGER_MS = 0.5


class Fact(NamedTuple):
    """What is appended, and where."""

    topic: Topic
    partition: int
    key: bytes
    value: bytes
    event: Event
    envelope: Envelope


class KafkaLog:
    """Implements `millrace.sinks.ports.Log`. Made and called in one event loop; `close` ends it.

    Topics must be there (admin.py); a broker need not be.
    """

    def __init__(self, cluster: Cluster, topics: Iterable[Topic] = TOPICS) -> None:
        self._cluster = cluster
        self._topics = {topic.name: topic for topic in topics}
        names = [cluster.topic(topic) for topic in self._topics.values()]
        self._appending = Appending(cluster.bootstrap, LINGER_MS)
        self._fetching = Fetching(cluster.bootstrap, names)
        self._followers: set[Follower] = set()
        self._own: dict[tuple[str, int, int], Recorded[Any]] = {}

    async def append(
        self,
        topic: str,
        event: Event,
        *,
        cause: str | None = None,
        at_ms: int | None = None,
        event_id: str | None = None,
    ) -> Appended:
        fact = self._encoded(Append(topic, event, cause, at_ms, event_id))
        return self._appended(fact, await self._sent(fact))

    async def append_many(self, appends: Sequence[Append]) -> tuple[Appended, ...]:
        facts = [self._encoded(append) for append in appends]
        # Each has come to its end before the caller hears of any, and repeats them all.
        ends = await asyncio.gather(*map(self._sent, facts), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return tuple(map(self._appended, facts, cast("list[int]", ends)))

    async def append_bytes(self, topic: str, key: bytes, value: bytes) -> Appended:
        """Appends a record of a topic that is not ours: the store's notifications."""
        there = self._topics[topic]
        index = partition_for(there, None, key, self._cluster.partitions)
        where = self._cluster.topic(there)
        offset = await self._appending.append(where, index, key, value, [])
        return Appended(topic, index, offset, ids.derive("foreign", topic, str(index), str(offset)))

    def _encoded(self, append: Append) -> Fact:
        topic, event = self._topics[append.topic], append.event
        if type(event) not in topic.events:
            raise TypeError(f"{topic.name} does not carry {type(event).__name__}")
        key, count = topic.key(event), self._cluster.partitions
        envelope = Envelope(
            append.event_id or secrets.token_hex(16),
            time.time_ns() // 1_000_000 if append.at_ms is None else append.at_ms,
            append.cause or "",
        )
        index = partition_for(topic, event, key, count)
        return Fact(topic, index, key, codec.encode(event), event, envelope)

    def _sent(self, fact: Fact) -> asyncio.Future[int]:
        name, headers = self._cluster.topic(fact.topic), to_headers(fact.envelope)
        return self._appending.append(name, fact.partition, fact.key, fact.value, headers)

    def _appended(self, fact: Fact, offset: int) -> Appended:
        topic, index, id_ = fact.topic.name, fact.partition, fact.envelope.id
        if len(fact.value) <= OWN_BYTES_MAX:
            if len(self._own) == OWN_RECORDS_MAX:
                del self._own[next(iter(self._own))]
            at_ms, cause = fact.envelope.at_ms, fact.envelope.cause
            seen = Recorded(fact.event, id_, at_ms, fact.key, topic, index, offset, cause)
            self._own[topic, index, offset] = seen
        return Appended(topic, index, offset, id_)

    async def follow(self, topics: Collection[str]) -> Follower:
        followed = [self._topics[topic] for topic in topics]
        for ended in [one for one in self._followers if one.is_closed]:
            self._followers.discard(ended)
        partitions = {
            TopicPartition(self._cluster.topic(topic), index): Partition(topic, index)
            for topic in followed
            for index in range(self._cluster.partitions)
        }
        follower = await follow(self._cluster.bootstrap, partitions)
        self._followers.add(follower)
        return follower

    async def read(
        self, topic: str, partition: int, after_offset: int, limit: int
    ) -> tuple[Recorded[Event], ...]:
        there, offset = self._topics[topic], max(0, after_offset + 1)
        if not 0 <= partition < self._cluster.partitions:
            return ()
        own = self._own.get((topic, partition, offset))
        if own is not None and limit == 1:
            return (own,)
        name, where = self._cluster.topic(there), Partition(there, partition)
        while True:
            page = await self._fetching.page(name, partition, offset, limit)
            found = readable(record_of(where, message) for message in page.records)
            if found or page.next >= page.end or page.next == offset:
                return tuple(found) or (() if own is None else (own,))
            offset = page.next

    async def end(self, topic: str, partition: int) -> int:
        name = self._cluster.topic(self._topics[topic])
        if not 0 <= partition < self._cluster.partitions:
            return 0
        return await self._fetching.end(name, partition)

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has. KeyError as for append."""
        if topic not in self._topics:
            raise KeyError(topic)
        return self._cluster.partitions

    async def close(self) -> None:
        """Returns when all appends are answered. Followers end."""
        await self._appending.close()
        await self._fetching.close()
        for follower in self._followers:
            await follower.close()
