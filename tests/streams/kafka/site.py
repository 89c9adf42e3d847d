"""A corner of a broker for one test: topics nobody else has, what is on them, what was committed.

And workers in this process, from their first partitions to an orderly end.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from millrace.schemas.events import DeadLettered, Event, RedriveRequested
from millrace.schemas.topics import DEAD_LETTERS, REDRIVES, Topic
from millrace.sinks.ports import Append, Appended
from millrace.streams.folding.records import Record
from millrace.streams.kafka.admin import apply
from millrace.streams.kafka.app import App
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.lag import committed
from millrace.streams.kafka.log import KafkaLog
from millrace.streams.kafka.records import Partition, record_of

WITHIN_S = 20.0


class Site:
    """Topics under a prefix of their own. Appends as the gateway does."""

    def __init__(self, cluster: Cluster, topics: Collection[Topic]) -> None:
        self.cluster = cluster
        self.topics = tuple(
            {topic.name: topic for topic in (*topics, REDRIVES, DEAD_LETTERS)}.values()
        )
        self.log = KafkaLog(cluster, self.topics)
        self._client = AIOKafkaClient(bootstrap_servers=cluster.bootstrap)

    async def append(self, topic: Topic, *events: Event, **options: Any) -> tuple[Appended, ...]:
        return await self.log.append_many([Append(topic.name, e, **options) for e in events])

    async def records(self, topic: Topic) -> list[Record]:
        """All committed records, partition by partition."""
        reader = AIOKafkaConsumer(
            bootstrap_servers=self.cluster.bootstrap,
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        await reader.start()
        found: list[Record] = []
        try:
            for index in range(self.cluster.partitions):
                place = TopicPartition(self.cluster.topic(topic), index)
                reader.assign([place])
                await reader.seek_to_beginning(place)
                end = (await reader.end_offsets([place]))[place]
                while await reader.position(place) < end:
                    got = await reader.getmany(place, timeout_ms=200)
                    found += [record_of(Partition(topic, index), m) for m in got.get(place, ())]
        finally:
            await reader.stop()
        return found

    async def events(self, topic: Topic) -> list[Any]:
        return [record.recorded.event for record in await self.records(topic)]

    async def committed(self, group: str, topic: Topic) -> dict[int, int]:
        """Where the group would read on, by partition; nothing while its coordinator moves."""
        name = self.cluster.topic(topic)
        try:
            found = await committed(self.cluster.group(group), self._client)
        except KafkaError as moving:
            if not moving.retriable:
                raise
            return {}
        return {where.partition: offset for where, offset in found.items() if where.topic == name}

    async def open(self) -> None:
        await asyncio.to_thread(apply, self.cluster, self.topics, ())
        await self._client.bootstrap()

    async def close(self) -> None:
        await self._client.close()
        await self.log.close()


@asynccontextmanager
async def site_of(
    bootstrap: str, topics: Sequence[Topic], partitions: int = 1, session_timeout_ms: int = 6_000
) -> AsyncIterator[Site]:
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    cluster = Cluster(bootstrap, prefix, partitions, session_timeout_ms=session_timeout_ms)
    site = Site(cluster, topics)
    await site.open()
    try:
        yield site
    finally:
        await site.close()


class Worker(Protocol):
    @property
    def app(self) -> App: ...
    async def run(self, stop: asyncio.Event) -> None: ...


@asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[None]:
    """Workers with partitions, ended in order. Raises what ended one before."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(worker.run(stop)) for worker in workers]
    try:
        for worker, task in zip(workers, tasks, strict=True):
            reading = asyncio.create_task(worker.app.is_reading.wait())
            async with asyncio.timeout(WITHIN_S):
                await asyncio.wait([reading, task], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def until(holds: Callable[[], Any], within_s: float = WITHIN_S) -> None:
    """Waits for a condition, which may be asked of the broker."""
    async with asyncio.timeout(within_s):
        while True:
            answer = holds()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(0.05)


def again(letter: DeadLettered) -> RedriveRequested:
    """What an operator asks who wants the letter's record tried again."""
    return RedriveRequested(
        letter.letter_id,
        letter.topology,
        letter.step,
        letter.kind,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.key,
    )
