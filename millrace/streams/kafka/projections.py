"""A projection as a Faust agent: records become rows, which bear the place that they came from.

At least once, and idempotent by version: rows are durable in the tables before their records are
acknowledged. A busy table is waited for with nothing acknowledged, so that Kafka keeps the rest;
what is undone is bounded. This module must never hold up a fold.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from faust.types import TP

from millrace.schemas import codec
from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.sinks.ports import Row, StoreBusy, Tables
from millrace.streams import points
from millrace.streams.declarations import Project
from millrace.streams.folding.keyed import reason_of
from millrace.streams.folding.letters import append_letter
from millrace.streams.folding.records import Decode, Record
from millrace.streams.kafka.intake import Delivery, Intake
from millrace.streams.kafka.outlet import Outlet
from millrace.streams.metrics import Metrics
from millrace.streams.points import At
from millrace.streams.projected import ROWS_MAX, rows_of, write_rows

# How long tables that were busy are left alone: from the first time to the longest, doubling.
BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 2.0
# An event that only a newer build can read is looked at again after that time.
UNKNOWN_S = 1.0


@dataclass(slots=True)
class Batch:
    """What becomes of some deliveries of one partition, filled in by a thread."""

    deliveries: list[tuple[Record, Delivery]]
    # Kind and reason of dead letters, by the record that they are about.
    letters: list[tuple[str, Record, str]] = field(default_factory=list)
    # How many of the deliveries are rows or dead letters; the rest waits for a newer build.
    done: int = 0


class Projection:
    """One projection over the partitions that this process has. Calls are of the app's loop."""

    def __init__(
        self,
        topology: str,
        project: Project,
        tables: Tables,
        outlet: Outlet,
        metrics: Metrics,
        at: At = points.nowhere,
        decode: Decode = codec.decode,
    ) -> None:
        self.topology = topology
        self.project = project
        self.intake = Intake(project.reads, self._took, decode)
        self._tables = tables
        self._outlet = outlet
        self._metrics = metrics
        self._at = at
        self._queues: dict[TP, deque[Delivery]] = {}
        # Records that an operator redrives, and the redrives to acknowledge.
        self._again: deque[tuple[Record, Delivery]] = deque()
        # Partitions at whose head is an event of a newer build, and when to look again.
        self._held: dict[TP, float] = {}
        self._epoch = 0
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def _took(self, delivery: Delivery) -> None:
        self._queues.setdefault(delivery.tp, deque()).append(delivery)
        self._news.set()

    def redrive(self, step: str, record: Record, delivery: Delivery) -> bool:
        """Projects a record once more."""
        assert step == self.project.name
        self._again.append((record, delivery))
        self._news.set()
        return True

    async def run(self) -> None:
        """Projects what comes, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while await self._round():
                pass

    async def _round(self) -> bool:
        """One batch of each partition that has news; whether there was any."""
        found = False
        while self._again:
            found = True
            await self._project(None, [self._again.popleft()])
        for tp in list(self._queues):
            queue = self._queues.get(tp)
            if queue and self._held.get(tp, 0.0) <= self._loop.time():
                found = True
                count = min(len(queue), ROWS_MAX)
                taken = [queue.popleft() for _ in range(count)]
                await self._project(tp, [(delivery.record, delivery) for delivery in taken])
        return found

    async def _project(self, tp: TP | None, deliveries: list[tuple[Record, Delivery]]) -> None:
        """Rows, durable; then dead letters, durable; then acknowledgements."""
        epoch = self._epoch
        batch = await self._written(deliveries)
        if batch is None:
            return
        self._at(points.ROWS_WRITTEN)
        if batch.letters:
            tx = self._outlet.begin()
            for kind, record, reason in batch.letters:
                append_letter(tx, kind, self.topology, self.project.name, record, reason)
            await self._outlet.say(tx)
        for _, delivery in deliveries[: batch.done]:
            delivery.done()
        rest = deliveries[batch.done :]
        self._metrics.add("millrace_projection_batches_total", step=self.project.name)
        self._metrics.add("millrace_projected_total", batch.done, step=self.project.name)
        if tp is not None and epoch == self._epoch:
            self._hold(tp, rest)

    def _hold(self, tp: TP, rest: list[tuple[Record, Delivery]]) -> None:
        """The partition waits for a build that reads the first of the rest, if there is any."""
        step, partition = self.project.name, str(tp.partition)
        if rest:
            self._queues[tp].extendleft(delivery for _, delivery in reversed(rest))
            self._held[tp] = self._loop.time() + UNKNOWN_S
            self._loop.call_later(UNKNOWN_S, self._news.set)
        elif self._held.pop(tp, None) is None:
            return
        stopped = bool(rest)
        self._metrics.put("millrace_projection_stopped", stopped, step=step, partition=partition)

    async def _written(self, deliveries: list[tuple[Record, Delivery]]) -> Batch | None:
        """The batch, once its rows are durable; None where it is no longer ours to write."""
        epoch, backoff_s = self._epoch, BACKOFF_MIN_S
        while epoch == self._epoch:
            batch = Batch(deliveries)
            try:
                await asyncio.to_thread(self._write, batch)
            except StoreBusy:
                self._metrics.add("millrace_busy_total")
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)
            else:
                return batch
        return None

    def _write(self, batch: Batch) -> None:
        """In a thread of its own. Raises StoreBusy."""
        made: list[tuple[Record, list[Row]]] = []
        for record, _ in batch.deliveries:
            try:
                made.append((record, rows_of(self.project, record)))
            except UnknownFingerprint:
                break
            except BadRecord as bad:
                batch.letters.append(("record", record, str(bad)))
            except Exception as bug:  # noqa: BLE001 - a bug of the projection: a dead letter
                batch.letters.append(("parked", record, reason_of(bug)))
            batch.done += 1

        def refuse(record: Record, reason: str) -> None:
            batch.letters.append(("parked", record, reason))

        write_rows(self._tables, self.project, made, refuse)

    async def hand_back(self) -> None:
        """Rows that are written twice are the same rows: nothing is waited for."""

    def lost(self) -> None:
        """What is not projected comes again, here or elsewhere."""
        self._epoch += 1
        self._queues.clear()
        self._again.clear()
        self._held.clear()
        self.intake.forget()

    def took(self, assigned: frozenset[TP]) -> None:
        """Nothing is kept of partitions that went."""

    @property
    def undone(self) -> int:
        """Records that this process knows and has not projected."""
        return sum(map(len, self._queues.values()))
