"""Reads pages and ends of partitions, one request each: what the gateway asks for now and then.

A consumer that is assigned one partition after another takes several round trips and reads ahead
what nobody wants; here is one connection a broker, shared by all callers. Committed records alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, NamedTuple, TypeVar

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    OffsetOutOfRangeError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord

from millrace.sinks.ports import StoreBusy

T = TypeVar("T")
# How long a caller waits for Kafka before it is told that the log is busy.
BUSY_S = 3.0
# A broker that says nothing is left for another connection before the caller gives up.
REQUEST_TIMEOUT_MS = 2_000
RETRY_S = 0.2
# As much as a page of small records takes; a larger record comes alone, whatever its size.
PAGE_BYTES_MIN = 64 << 10
PAGE_BYTES_MAX = 1 << 20
RECORD_BYTES = 4 << 10

LATEST, EARLIEST = -1, -2


class Fetched(NamedTuple):
    """Records in order, where to read on, and the offset after the last committed record."""

    records: list[ConsumerRecord]
    next: int
    end: int


class Fetching:
    """Calls are of one event loop. It connects when it is first asked."""

    def __init__(self, bootstrap: str, topics: Collection[str]) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._client: AIOKafkaClient | None = None
        self._connecting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def page(self, topic: str, partition: int, offset: int, limit: int) -> Fetched:
        """At most so many records from the offset on. Raises StoreBusy."""
        where = TopicPartition(topic, partition)

        async def ask(client: AIOKafkaClient) -> Fetched:
            return await fetched(client, where, offset, limit)

        try:
            return await self.asked(ask)
        except OffsetOutOfRangeError:
            (first,) = await self.offsets([where], EARLIEST)
            (end,) = await self.offsets([where], LATEST)
            return Fetched([], max(first, min(offset, end)), end)

    async def end(self, topic: str, partition: int) -> int:
        """The offset after the last committed record. Raises StoreBusy."""
        (end,) = await self.offsets([TopicPartition(topic, partition)], LATEST)
        return end

    async def offsets(self, where: Iterable[TopicPartition], time: int) -> list[int]:
        """The first (EARLIEST) or last (LATEST) committed offset of each. Raises StoreBusy."""

        async def ask(client: AIOKafkaClient) -> list[int]:
            return [await listed(client, one, time) for one in where]

        return await self.asked(ask)

    async def asked(self, ask: Callable[[AIOKafkaClient], Awaitable[T]]) -> T:
        """Asks until there is an answer. Raises StoreBusy where there is none in time."""
        try:
            async with asyncio.timeout(BUSY_S):
                return await self._insist(ask)
        except TimeoutError as late:
            self._forget(self._client)
            raise StoreBusy(f"Kafka did not answer within {BUSY_S} s") from late

    async def _insist(self, ask: Callable[[AIOKafkaClient], Awaitable[T]]) -> T:
        while True:
            try:
                return await ask(await self._connected())
            except KafkaError as error:
                if not error.retriable:
                    raise
            if self._client is not None:
                self._client.force_metadata_update()
            await asyncio.sleep(RETRY_S)

    async def _connected(self) -> AIOKafkaClient:
        async with self._connecting:
            if self._client is None:
                client = AIOKafkaClient(
                    bootstrap_servers=self._bootstrap,
                    client_id="millrace",
                    request_timeout_ms=REQUEST_TIMEOUT_MS,
                )
                try:
                    await client.bootstrap()
                    await client.set_topics(list(self._topics))
                except BaseException:
                    self._close(client)
                    raise
                self._client = client
            return self._client

    def _forget(self, client: AIOKafkaClient | None) -> None:
        """The next caller connects anew: all brokers may have moved."""
        if client is not None and client is self._client:
            self._client = None
            self._close(client)

    def _close(self, client: AIOKafkaClient) -> None:
        task = asyncio.get_running_loop().create_task(client.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        self._forget(self._client)
        if self._closing:
            await asyncio.wait(self._closing)


def leader(client: AIOKafkaClient, where: TopicPartition) -> int:
    """The broker to ask. Raises LeaderNotAvailableError."""
    node: int | None = client.cluster.leader_for_partition(where)
    if node is None or node == -1:
        raise LeaderNotAvailableError(where)
    return node


async def fetched(
    client: AIOKafkaClient, where: TopicPartition, offset: int, limit: int
) -> Fetched:
    """What the leader has from the offset on, without waiting for more. Raises KafkaError."""
    size = min(PAGE_BYTES_MAX, max(PAGE_BYTES_MIN, limit * RECORD_BYTES))
    asked = [(where.topic, [(where.partition, offset, size)])]
    request = FetchRequest(0, 0, size, READ_COMMITTED, asked)
    response = await client.send(leader(client, where), request)
    ((_, ((_, code, _, *rest),)),) = response.topics
    error = for_code(code)
    if error is not NoError:
        raise error(where)
    # Last stable offset first; aborted transactions before the records, which are last.
    end, aborted, data = rest[0], rest[-2], rest[-1]
    if response.API_VERSION >= 11:
        aborted = rest[-3]
    return unpacked(where, offset, limit, end, aborted, data)


def unpacked(
    where: TopicPartition, offset: int, limit: int, end: int, aborted: Any, data: bytes
) -> Fetched:
    """The records of a response, less those of aborted transactions and the markers."""
    records = PartitionRecords(
        where, MemoryRecords(data), aborted, offset, None, None, True, READ_COMMITTED
    )
    found: list[ConsumerRecord] = []
    for record in records:
        if len(found) == limit:
            return Fetched(found, found[-1].offset + 1, end)
        found.append(record)
    return Fetched(found, records.next_fetch_offset, end)


async def listed(client: AIOKafkaClient, where: TopicPartition, time: int) -> int:
    """The first or last offset of a partition, as committed. Raises KafkaError."""
    request = OffsetRequest(-1, READ_COMMITTED, [(where.topic, [(where.partition, time)])])
    response = await client.send(leader(client, where), request)
    ((_, ((_, code, _, offset, *_),)),) = response.topics
    error = for_code(code)
    if error is not NoError:
        raise error(where)
    found: int = offset
    return found
