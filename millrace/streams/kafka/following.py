"""Follows topics from now on, for the gateway: no group, no positions, committed records alone.

Kafka keeps what a follower has not read yet, so a slow one costs no memory here; it is ended all
the same, because whoever follows wants what is new, and reads what is old page by page.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from millrace.schemas.envelope import Recorded
from millrace.sinks.ports import StoreBusy
from millrace.streams.folding.records import readable
from millrace.streams.kafka.records import Partition, record_of

# Records that a follower may be behind before it is ended.
FOLLOWER_RECORDS_MAX = 10_000
PAGE_RECORDS = 500
# Bytes read ahead of a partition; one larger record comes whole.
AHEAD_BYTES = 64 << 10
# Silence after which Kafka is asked whether it is there.
SILENCE_MS = 2_000
BUSY_S = 3.0

Partitions = Mapping[TopicPartition, Partition]


class Follower:
    """Committed records of some partitions, each once; ended with StoreBusy, then closed."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: Partitions) -> None:
        self._consumer = consumer
        self._partitions = partitions
        self._records: deque[Recorded[Any]] = deque()
        # Why it ended; empty while it goes on.
        self._ended = ""
        self.is_closed = False

    def __aiter__(self) -> "Follower":
        return self

    async def __anext__(self) -> Recorded[Any]:
        while not self._records:
            if self._ended:
                await self.close()
                raise StoreBusy(self._ended)
            await self._fetch()
        return self._records.popleft()

    async def _fetch(self) -> None:
        try:
            found = await self._consumer.getmany(timeout_ms=SILENCE_MS, max_records=PAGE_RECORDS)
            if not found:
                async with asyncio.timeout(BUSY_S):
                    await self._consumer.end_offsets(list(self._partitions))
        except (KafkaError, TimeoutError) as problem:
            self._ended = f"Kafka does not answer: {problem!r}"
            return
        if await self._behind() > FOLLOWER_RECORDS_MAX:
            self._ended = "this follower was too slow; read on from its last position"
            return
        for where, messages in found.items():
            partition = self._partitions[where]
            self._records += readable([record_of(partition, message) for message in messages])

    async def _behind(self) -> int:
        behind = 0
        for where in self._partitions:
            end = self._consumer.highwater(where)
            if end is not None:
                behind += end - await self._consumer.position(where)
        return behind

    async def close(self) -> None:
        """Ends it, for good."""
        self.is_closed = True
        self._ended = self._ended or "this follower was closed"
        await stop(self._consumer)


async def follow(bootstrap: str, partitions: Partitions) -> Follower:
    """A follower from the ends as they are on return. Raises StoreBusy."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="millrace",
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="latest",
        max_partition_fetch_bytes=AHEAD_BYTES,
        request_timeout_ms=int(BUSY_S * 1000),
    )
    try:
        async with asyncio.timeout(BUSY_S):
            await consumer.start()
            consumer.assign(list(partitions))
            ends = await consumer.end_offsets(list(partitions))
    except (KafkaError, TimeoutError) as problem:
        await stop(consumer)
        raise StoreBusy(f"Kafka does not answer: {problem!r}") from problem
    except BaseException:
        await stop(consumer)
        raise
    for where, end in ends.items():
        consumer.seek(where, end)
    return Follower(consumer, partitions)


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Stops a consumer, whatever became of its broker.

    aiokafka's own `stop` ends with the CancelledError of a fetch that waits to be repeated, and
    leaves its connections open then (seen on brokers that were killed).
    """
    task = asyncio.get_running_loop().create_task(consumer.stop())
    await asyncio.wait([task])
    if task.cancelled() or task.exception() is not None:
        await consumer._client.close()
