"""Gathers client events of many requests into records of one partition each (CNT-1).

A request is answered after the log has acknowledged its events; what can't be appended is said to
the client, never dropped. It must never hold more than EVENTS_MAX events.
"""

import asyncio
from collections.abc import Callable, Sequence

from millrace.gateway.errors import OVERLOADED, Problem
from millrace.schemas.events import ClientEvent, PlaybackReported
from millrace.schemas.partitioning import partition_of
from millrace.schemas.topics import PLAYBACK_EVENTS, viewer_key
from millrace.sinks.ports import Append, Log

EVENTS_PER_RECORD_MAX = 500
EVENTS_MAX = 100_000


class Batches:
    """Events that wait for the next append, by partition."""

    def __init__(
        self,
        log: Log,
        partitions: int,
        linger_s: float,
        acknowledged: Callable[[str, int], None],
    ) -> None:
        self.log = log
        self.partitions = partitions
        self.linger_s = linger_s
        # Told the topic and how many events stand on it more: once for many requests.
        self.acknowledged = acknowledged
        self.pending: dict[int, list[ClientEvent]] = {}
        self.count = 0
        # Requests whose events are pending, each with a future of its own: a client that goes away
        # must not take the others' answer with it.
        self.waiters: list[asyncio.Future[None]] = []
        self.flushing: asyncio.Task[None] | None = None
        # The linger is over, and an append is still under way.
        self.overdue = False

    async def add(self, events: Sequence[ClientEvent]) -> None:
        """Returns when the events are on the log. Raises StoreBusy, Problem OVERLOADED."""
        if self.count + len(events) > EVENTS_MAX:
            raise Problem(OVERLOADED)
        for event in events:
            partition = partition_of(viewer_key(event), self.partitions)
            self.pending.setdefault(partition, []).append(event)
        self.count += len(events)
        loop = asyncio.get_running_loop()
        if not self.waiters:
            loop.call_later(self.linger_s, self.begin)
        waiter = loop.create_future()
        self.waiters.append(waiter)
        await waiter

    def begin(self) -> None:
        """Starts the append of all that is pending; the next event opens a new batch.

        While one is under way the batch grows: the busier the log, the fewer its commits.
        """
        if self.flushing is not None:
            self.overdue = True
            return
        pending, waiters = self.pending, self.waiters
        assert waiters, "a flush without a batch"
        self.pending, self.waiters = {}, []
        self.flushing = asyncio.get_running_loop().create_task(self.flush(pending, waiters))
        self.flushing.add_done_callback(self.ended)

    def ended(self, _: asyncio.Task[None]) -> None:
        self.flushing = None
        if self.overdue:
            self.overdue = False
            self.begin()

    async def flush(
        self, pending: dict[int, list[ClientEvent]], waiters: list[asyncio.Future[None]]
    ) -> None:
        appends = [
            Append(PLAYBACK_EVENTS.name, PlaybackReported(tuple(events[first : first + size])))
            for events in pending.values()
            for size in (EVENTS_PER_RECORD_MAX,)
            for first in range(0, len(events), size)
        ]
        try:
            await self.log.append_many(appends)
        except BaseException as problem:  # noqa: BLE001 - handed to every request that waits
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(problem)
        else:
            self.acknowledged(PLAYBACK_EVENTS.name, sum(map(len, pending.values())))
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        finally:
            self.count -= sum(map(len, pending.values()))

    async def close(self) -> None:
        """Returns when nothing is pending any more."""
        while self.waiters or self.flushing is not None:
            await asyncio.wait([self.flushing] if self.flushing else self.waiters)
