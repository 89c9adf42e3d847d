"""The log's port over lists in memory, with the real folds and projections run at each append.

It decides nothing itself. Works are not run: a test appends what they would have said.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from millrace.processors.emit import Emit
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import DeadlinePassed, Event
from millrace.schemas.ids import caused
from millrace.schemas.partitioning import partition_of
from millrace.schemas.topics import BY_NAME
from millrace.sinks.ports import Append, Appended, StoreBusy, Tables
from millrace.streams.catalog import CATALOG_TOPOLOGY
from millrace.streams.declarations import Fold, Project
from millrace.streams.projected import versioned
from millrace.streams.publishing import PUBLISHING_TOPOLOGY
from millrace.streams.uploads import UPLOADS_TOPOLOGY
from millrace.streams.views import VIEWS_TOPOLOGY

PARTITIONS = 4
TOPOLOGIES = (UPLOADS_TOPOLOGY, PUBLISHING_TOPOLOGY, CATALOG_TOPOLOGY, VIEWS_TOPOLOGY)
STEPS = [step for topology in TOPOLOGIES for step in topology.steps]


class MemoryLog:
    """A log of PARTITIONS partitions a topic; `busy` refuses, `held` lets nothing follow."""

    def __init__(self, tables: Tables, now_ms: Callable[[], int]) -> None:
        self.tables = tables
        self.now_ms = now_ms
        self.records: dict[tuple[str, int], list[Recorded[Any]]] = {}
        self.given: dict[tuple[str, str], Appended] = {}
        self.states: dict[tuple[str, bytes], Any] = {}
        self.followers: list[tuple[frozenset[str], asyncio.Queue[Recorded[Any]]]] = []
        self.work: deque[Recorded[Any]] = deque()
        # How often a caller appended, repeats included.
        self.appends = 0
        self.appended = asyncio.Event()
        self.busy = False
        self.held = False
        # A fact that is appended again stands there again, as where gateways do not share a log.
        self.twice = False
        # How long the tables follow behind the facts.
        self.lag_s = 0.0
        # Topic, partition and offset of records that are there and can't be read.
        self.unreadable: set[tuple[str, int, int]] = set()

    async def append(
        self,
        topic: str,
        event: Event,
        *,
        cause: str | None = None,
        at_ms: int | None = None,
        event_id: str | None = None,
    ) -> Appended:
        (appended,) = await self.append_many([Append(topic, event, cause, at_ms, event_id)])
        return appended

    async def append_many(self, appends: Sequence[Append]) -> tuple[Appended, ...]:
        if self.busy:
            raise StoreBusy("the log is away")
        found = tuple(map(self.put, appends))
        self.appends += len(appends)
        self.appended.set()
        if not self.held:
            self.run()
        return found

    async def asked(self, appends: int) -> None:
        """Returns when callers have appended so often."""
        while self.appends < appends:
            self.appended.clear()
            await self.appended.wait()

    def put(self, append: Append) -> Appended:
        known = self.given.get((append.topic, append.event_id or ""))
        if known is not None and not self.twice:
            return known
        key = BY_NAME[append.topic].key(append.event)
        partition = partition_of(key, PARTITIONS)
        there = self.records.setdefault((append.topic, partition), [])
        event_id = append.event_id or f"{append.topic}-{partition}-{len(there)}"
        recorded = Recorded(
            append.event,
            event_id,
            self.now_ms() if append.at_ms is None else append.at_ms,
            key,
            append.topic,
            partition,
            len(there),
            append.cause or "",
        )
        there.append(recorded)
        self.work.append(recorded)
        appended = Appended(append.topic, partition, recorded.offset, event_id)
        self.given[append.topic, event_id] = appended
        return appended

    def run(self) -> None:
        """Folds and projects all that was appended, and what that leads to."""
        while self.work:
            recorded = self.work.popleft()
            for step in STEPS:
                if isinstance(step, Fold) and recorded.topic in {t.name for t in step.reads}:
                    self.fold(step, recorded)
                elif isinstance(step, Project) and recorded.topic == step.reads.name:
                    self.project(step, recorded)
            for topics, queue in self.followers:
                if recorded.topic in topics:
                    queue.put_nowait(recorded)

    def project(self, step: Project, recorded: Recorded[Any]) -> None:
        rows = versioned(step, recorded)
        if self.lag_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self.lag_s, self.tables.upsert, step.table, rows)
        else:
            self.tables.upsert(step.table, rows)

    def fold(self, step: Fold, recorded: Recorded[Any]) -> None:
        keys = [(recorded.key, recorded.event)]
        if step.explode is not None:
            keys = list(step.explode(recorded))
        for number, (key, event) in enumerate(keys):
            place = (step.name, key)
            piece = replace(recorded, event=event, key=key)
            state, emits = step.apply(self.states.get(place), piece)
            self.states[place] = state
            for n, emit in enumerate(emits):
                self.emit(step, recorded, emit, number * 1000 + n)

    def expire(self, video_id: str) -> None:
        """The time of the video's upload session runs out."""
        (step,) = (s for s in STEPS if isinstance(s, Fold) and s.name == "uploads")
        key = video_id.encode()
        passed = DeadlinePassed("uploads", "uploads", key, "expiry", self.now_ms())
        at_ms, topic = self.now_ms(), step.reads[0].name
        self.fold(step, Recorded(passed, f"expiry-{video_id}", at_ms, key, topic, 0, 0, ""))
        self.run()

    def emit(self, step: Fold, recorded: Recorded[Any], emit: Emit, number: int) -> None:
        event_id = caused(step.name, recorded.id, number)
        self.put(Append(emit.topic.name, emit.event, recorded.id, recorded.at_ms, event_id))

    async def follow(self, topics: Collection[str]) -> AsyncIterator[Recorded[Event]]:
        queue: asyncio.Queue[Recorded[Any]] = asyncio.Queue()
        self.followers.append((frozenset(topics), queue))
        return self.drained(queue)

    async def drained(self, queue: asyncio.Queue[Recorded[Any]]) -> AsyncIterator[Recorded[Any]]:
        while True:
            yield await queue.get()

    async def read(
        self, topic: str, partition: int, after_offset: int, limit: int
    ) -> tuple[Recorded[Event], ...]:
        if self.busy:
            raise StoreBusy("the log is away")
        BY_NAME[topic]
        there = self.records.get((topic, partition), [])
        page = there[after_offset + 1 : after_offset + 1 + limit]
        return tuple(r for r in page if (topic, partition, r.offset) not in self.unreadable)

    async def end(self, topic: str, partition: int) -> int:
        return self.count(topic, partition)

    def count(self, topic: str, partition: int) -> int:
        return len(self.records.get((topic, partition), []))

    def events(self, topic: str) -> list[Any]:
        """Every event of the topic, for tests to look at."""
        return [
            recorded.event
            for (name, _), there in sorted(self.records.items())
            if name == topic
            for recorded in there
        ]
