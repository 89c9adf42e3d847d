"""Redrives of works and projections: an operator asks, on the log, to try a dead letter again.

The record is read again from where it stands and handed to the one step that is named; the redrive
is acknowledged when the step is done with it, so a crash forgets none. What cannot be redriven is a
dead letter. Parked keys and folds are their tasks' (redrives.py).
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from faust.types import TP

from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.schemas.events import RedriveRequested
from millrace.schemas.topics import REDRIVES, Topic
from millrace.sinks.ports import StoreBusy
from millrace.streams.folding.letters import append_letter
from millrace.streams.folding.records import Record
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.fetching import Fetching
from millrace.streams.kafka.intake import Delivery, Intake
from millrace.streams.kafka.outlet import Outlet
from millrace.streams.kafka.records import Partition, record_of

# Between attempts to read a record from a log that is away; each takes seconds by itself.
BACKOFF_S = 0.25

# Hands a record to the step of that name; false where it does not take such a record.
Again = Callable[[str, Record, Delivery], bool]


class Step(NamedTuple):
    """A work or a projection: what it reads, and who does it."""

    topics: Mapping[str, Topic]
    again: Again


class StepRedrives:
    """The redrives that are for this process's steps, by topology and step."""

    def __init__(
        self,
        cluster: Cluster,
        steps: Mapping[tuple[str, str], Step],
        outlet: Outlet,
        crashed: Callable[[BaseException], None],
    ) -> None:
        self.intake = Intake(REDRIVES, self._took)
        self._cluster = cluster
        self._steps = steps
        self._outlet = outlet
        self._crashed = crashed
        names = {topic.name for step in steps.values() for topic in step.topics.values()}
        self._fetching = Fetching(cluster.bootstrap, [cluster.topic(name) for name in names])
        self._tasks: set[asyncio.Task[None]] = set()

    def _took(self, delivery: Delivery) -> None:
        task = asyncio.get_running_loop().create_task(self._one(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        bug = None if task.cancelled() else task.exception()
        if bug is not None:
            self._crashed(bug)

    async def _one(self, delivery: Delivery) -> None:
        try:
            wanted = delivery.record.recorded.event
        except (BadRecord, UnknownFingerprint):
            # Nobody can know whose it was; the gateway, which writes them, writes no such thing.
            delivery.done()
            return
        # Attempts that are used up come again with a retry of the video, which the fold decides.
        if not isinstance(wanted, RedriveRequested) or wanted.kind == "work":
            delivery.done()
            return
        step = self._steps.get((wanted.topology, wanted.step))
        if step is None:
            delivery.done()
            return
        reason = await self._redrive(step, wanted, delivery)
        if reason:
            await self._refuse(wanted, delivery, reason)

    async def _redrive(self, step: Step, wanted: RedriveRequested, delivery: Delivery) -> str:
        """Why it cannot be redriven; empty where the step has it, and says done."""
        topic = step.topics.get(wanted.topic)
        if topic is None:
            return "there is no such step"
        if not 0 <= wanted.partition < self._cluster.partitions or wanted.offset < 0:
            return "there is no such place on the log"
        record, end = await self._record_at(topic, wanted.partition, wanted.offset)
        if wanted.offset >= end:
            return "there is no such place on the log"
        if record is None:
            return "the record was compacted away: a newer one of its key took its place"
        if not record.is_readable:
            return "this build cannot read the record either"
        if not step.again(wanted.step, record, delivery):
            return "the step does not take such a record"
        return ""

    async def _record_at(
        self, topic: Topic, partition: int, offset: int
    ) -> tuple[Record | None, int]:
        """The record, None where it is gone, and the end of its partition."""
        while True:
            try:
                page = await self._fetching.page(self._cluster.topic(topic), partition, offset, 1)
            except StoreBusy:
                await asyncio.sleep(BACKOFF_S)
                continue
            for found in page.records:
                if found.offset == offset:
                    return record_of(Partition(topic, partition), found), page.end
            return None, page.end

    async def _refuse(self, wanted: RedriveRequested, delivery: Delivery, reason: str) -> None:
        tx = self._outlet.begin()
        append_letter(
            tx, "record", wanted.topology, wanted.step, delivery.record, reason, wanted.key
        )
        await self._outlet.say(tx)
        delivery.done()

    async def hand_back(self) -> None:
        """Whoever was asked hands back."""

    def lost(self) -> None:
        """What is not done comes again, here or elsewhere."""
        self._drop()
        self.intake.forget()

    def took(self, assigned: frozenset[TP]) -> None:
        """Nothing is kept of partitions that went."""

    def _drop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        self._drop()
        await self._fetching.close()
