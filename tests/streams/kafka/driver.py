"""Topologies' folds over a real broker, behind the calls of the embedded engine's driver.

The loop runs in a thread of its own, so that one test can drive either engine. Topics carry a
prefix that no other test has; time is the test's.
"""

import asyncio
import threading
import uuid
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from millrace.schemas import codec
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.schemas.topics import Topic
from millrace.sinks.ports import Append, Appended
from millrace.streams.declarations import Topology
from millrace.streams.embedded.driver import Clock
from millrace.streams.folding.records import Decode, Record
from millrace.streams.kafka.admin import apply
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.fold_group import FoldGroup
from millrace.streams.kafka.fold_task import KafkaTask, Settings
from millrace.streams.kafka.log import KafkaLog
from millrace.streams.kafka.records import Partition, record_of
from millrace.streams.metrics import Metrics
from millrace.streams.points import At, nowhere

T = TypeVar("T")
WITHIN_S = 60.0


class KafkaDriver:
    """The folds of some topologies in this process, until `close`."""

    def __init__(
        self,
        bootstrap: str,
        topologies: Sequence[Topology],
        topics: Sequence[Topic],
        *,
        partitions: int = 1,
        parked_a_minute_max: int = 100,
        at: At = nowhere,
        decode: Decode = codec.decode,
        over: "KafkaDriver | None" = None,
        made: "list[KafkaDriver] | None" = None,
    ) -> None:
        # All drivers of a test, this one included, so that it can end them.
        self._made: list[KafkaDriver] = over._made if over else [] if made is None else made
        self._made.append(self)
        self.clock: Clock = over.clock if over else Clock()
        self.topologies = tuple(topologies)
        self.topics = tuple(topics)
        self._decode = decode
        self._parked_max = parked_a_minute_max
        self._at = at
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kafka-driver")
        self._thread.start()
        if over is None:
            prefix = f"t{uuid.uuid4().hex[:8]}-"
            self.cluster = Cluster(bootstrap, prefix, partitions, session_timeout_ms=6_000)
            apply(self.cluster, self.topics, self.topologies)
        else:
            self.cluster = over.cluster
        self._call(self._open())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN_S)

    async def _open(self) -> None:
        self.metrics = Metrics(self._parked_max)
        self._log = KafkaLog(self.cluster, self.topics)
        settings = Settings(
            cluster=self.cluster,
            topics={topic.name: topic for topic in self.topics},
            now_ms=self.clock,
            at=self._at,
            recovering=lambda *_: None,
            quiet_ms=50,
            decode=self._decode,
        )
        self.groups = [FoldGroup(settings, topology, self.metrics) for topology in self.topologies]
        self._running = [asyncio.create_task(group.run()) for group in self.groups]

    async def _end(self) -> None:
        for group in self.groups:
            group.stop()
        await asyncio.gather(*self._running)
        await self._log.close()

    def close(self) -> None:
        """Ends in order. Idempotent."""
        if self._loop.is_closed():
            return
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reopen(self) -> None:
        """Another life of the process: what is not on the log is forgotten."""
        self._call(self._end())
        self._call(self._open())

    def pipe(
        self,
        topic: Topic,
        event: Event,
        *,
        at_ms: int | None = None,
        event_id: str | None = None,
        cause: str = "",
    ) -> Appended:
        at_ms = self.clock.now_ms if at_ms is None else at_ms
        append = Append(topic.name, event, cause, at_ms, event_id)
        return self._call(self._log.append_many([append]))[0]

    def pipe_bytes(self, topic: Topic, key: bytes, value: bytes) -> Appended:
        return self._call(self._log.append_bytes(topic.name, key, value))

    def parked(self, topology: str, fold: str, key: bytes) -> list[int]:
        return [
            offset
            for task in self.tasks()
            if task.topology.name == topology
            for _, _, offset in task.parked(fold, key)
        ]

    def rebuilt(self, *topologies: Topology, **options: Any) -> "KafkaDriver":
        """Another build over the same log; this one is at an end."""
        self.close()
        return KafkaDriver(self.cluster.bootstrap, topologies, self.topics, over=self, **options)

    def tasks(self) -> Iterator[KafkaTask]:
        for group in self.groups:
            for runner in group.runners.values():
                if runner.task is not None:
                    yield runner.task

    def settle(self) -> None:
        """Returns when everything that is on the log is folded."""
        self._call(self._rest())

    async def _rest(self) -> None:
        # Twice: what one topology wrote last may be another's to read.
        for _ in range(2):
            while not await self._is_at_rest():
                self._look()
                await asyncio.sleep(0.01)

    def _look(self) -> None:
        """Raises what ended a group."""
        for one in self._running:
            if one.done():
                one.result()

    async def _is_at_rest(self) -> bool:
        if not all(group.ready for group in self.groups):
            return False
        for group in self.groups:
            for runner in group.runners.values():
                assert runner.task is not None
                if group.topology.name in self.metrics.stopped:
                    at_rest = runner.is_still
                else:
                    at_rest = await runner.task.is_at_rest()
                if not at_rest:
                    return False
        return True

    def advance(self, by_ms: int) -> None:
        """Moves the clock and settles, stopping wherever a timer is due."""
        self.settle()
        until_ms = self.clock.now_ms + by_ms
        while True:
            times = [task.next_timer_ms for task in self.tasks()]
            due_ms = min((time for time in times if time is not None), default=None)
            if due_ms is None or due_ms > until_ms:
                break
            self.clock.now_ms = max(self.clock.now_ms, due_ms)
            self.settle()
        self.clock.now_ms = until_ms
        self.settle()

    def records(self, topic: Topic) -> list[Record]:
        """Every committed record of a topic, partition by partition."""
        return self._call(self._records(topic))

    async def _records(self, topic: Topic) -> list[Record]:
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
                where = Partition(topic, index)
                reader.assign([place])
                await reader.seek_to_beginning(place)
                end = (await reader.end_offsets([place]))[place]
                while await reader.position(place) < end:
                    got = await reader.getmany(place, timeout_ms=200)
                    found += [record_of(where, message) for message in got.get(place, ())]
        finally:
            await reader.stop()
        return found

    def read(self, topic: Topic) -> list[Recorded[Any]]:
        return [record.recorded for record in self.records(topic)]

    def events(self, topic: Topic) -> list[Any]:
        return [recorded.event for recorded in self.read(topic)]

    def state(self, topology: str, fold: str, key: bytes) -> Any | None:
        for task in self.tasks():
            if task.topology.name == topology and (held := task.state(fold, key)) is not None:
                return held
        return None
