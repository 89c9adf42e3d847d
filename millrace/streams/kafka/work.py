"""The works of one lane: requests from a Faust agent, done by worker processes.

Results are produced and acknowledged before the request is; a request whose worker is killed with
everything else is read again, by this process or another, and its work finds in the store what was
made. A busy store is waited for, an unknown event too, and neither loses or multiplies a request.
This module must never acknowledge a request before its last result stands on the log.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from faust.types import TP

from millrace.schemas import codec
from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.schemas.topics import Topic
from millrace.streams import points
from millrace.streams.declarations import Failure, Work
from millrace.streams.folding.keyed import reason_of
from millrace.streams.folding.letters import append_letter
from millrace.streams.folding.records import Decode, Record
from millrace.streams.kafka.intake import Delivery, Intake
from millrace.streams.kafka.outlet import Outlet
from millrace.streams.kafka.requests import Request, Requests
from millrace.streams.kafka.transaction import KafkaTransaction
from millrace.streams.metrics import Metrics
from millrace.streams.points import At
from millrace.streams.working.attempts import Made, checked
from millrace.streams.working.workpool import WorkPool

# How long a store that was busy is left alone: from the first time to the longest, doubling.
BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 2.0
# An event that only a newer build can read is looked at again after that time.
UNKNOWN_S = 1.0


@dataclass(frozen=True, slots=True)
class WorkOptions:
    """What tests of the steps may want otherwise."""

    at: At = points.nowhere
    decode: Decode = codec.decode


class Lane:
    """One lane's works and their pool. Calls are of the app's loop, the pool's reports apart."""

    def __init__(
        self,
        lane: Topic,
        works: Sequence[tuple[str, Work]],
        outlet: Outlet,
        metrics: Metrics,
        options: WorkOptions,
        hand_back_s: float,
        crashed: Callable[[BaseException], None],
    ) -> None:
        self.lane = lane
        self.intake = Intake(lane, self._took, options.decode)
        self._requests = Requests(works)
        self._outlet = outlet
        self._metrics = metrics
        self._options = options
        self._hand_back_s = hand_back_s
        self._crashed = crashed
        self._pool: WorkPool[Request] | None = None
        self._loop = asyncio.get_running_loop()
        # Partitions at whose head is an event of a newer build, and what came behind it.
        self._held: dict[TP, deque[Delivery]] = {}
        # Counts the times that all was forgotten: what was planned before is void.
        self._epoch = 0
        self._beginning = True
        self._empty = asyncio.Event()
        self._empty.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, pool_of: Callable[["Lane"], WorkPool[Request]]) -> None:
        """Starts the worker processes."""
        self._pool = pool_of(self)
        self._pool.start()

    # -- requests come in

    def _took(self, delivery: Delivery) -> None:
        held = self._held.get(delivery.tp)
        if held is not None:
            held.append(delivery)
        else:
            self._look_at(delivery)

    def _look_at(self, delivery: Delivery) -> None:
        """Queues a request, holds what nobody here can read yet, passes over what is no work's."""
        record = delivery.record
        try:
            takers = self._requests.takers(record.recorded.event)
        except UnknownFingerprint:
            self._hold(delivery)
            return
        except BadRecord as bad:
            self._do(self._refuse(delivery, str(bad)))
            return
        delivery.takers = max(1, len(takers))
        if not takers:
            delivery.done()
        for work in takers:
            self._requests.queue(Request(work, record, delivery))
        self._begin()

    def _hold(self, delivery: Delivery) -> None:
        """The partition waits for a build that reads this; others go on."""
        self._held[delivery.tp] = deque([delivery])
        self._later(UNKNOWN_S, lambda: self._look_again(delivery.tp))

    def _look_again(self, tp: TP) -> None:
        held = self._held.pop(tp)
        while held and tp not in self._held:
            self._look_at(held.popleft())
        if held:
            self._held[tp].extend(held)

    async def _refuse(self, delivery: Delivery, reason: str) -> None:
        """A dead letter for each work that reads the lane, as each has to do without it."""
        tx = self._outlet.begin()
        for desk in self._requests.desks.values():
            append_letter(tx, "record", desk.topology, desk.work.name, delivery.record, reason)
        await self._outlet.say(tx)
        delivery.done()

    def redrive(self, step: str, record: Record, delivery: Delivery) -> bool:
        """Queues a record for the work once more; whether the work takes it."""
        work = self._requests.desks[step].work
        if work not in self._requests.takers(record.recorded.event):
            return False
        self._requests.queue(Request(work, record, delivery))
        self._begin()
        return True

    def _begin(self) -> None:
        """Gives requests to idle workers."""
        pool = self._pool
        while self._beginning and pool is not None and pool.has_idle:
            request = self._requests.take()
            if request is None:
                return
            self._empty.clear()
            pool.assign(request)

    # -- partitions change

    async def hand_back(self) -> None:
        """Begins nothing new; returns when nothing is in hand, or after the bound."""
        self._beginning = False
        try:
            async with asyncio.timeout(self._hand_back_s):
                await self._empty.wait()
        except TimeoutError:
            self._metrics.add("millrace_work_handed_back_total", len(self._requests.in_hand))

    def lost(self) -> None:
        """What was not begun comes again, here or elsewhere; what is in hand goes on."""
        self._epoch += 1
        self._requests.forget_queued()
        self._held.clear()
        self.intake.forget()

    def took(self, assigned: frozenset[TP]) -> None:
        """Ends attempts at requests that are another worker's now."""
        for request in list(self._requests.in_hand.values()):
            if request.delivery.tp not in assigned:
                self._abandon(request)
        self._beginning = True
        self._begin()

    def _abandon(self, request: Request) -> None:
        if self._pool is not None:
            self._pool.abandon(request)
        self._dropped(request)

    async def close(self) -> None:
        """Kills the workers; what they had in hand is read again by whoever comes next."""
        if self._pool is not None:
            await asyncio.to_thread(self._pool.close)
        for task in self._tasks:
            task.cancel()

    # -- what the pool reports, from its thread

    def made(self, request: Request, number: int, made: Made, told: Callable[[], None]) -> None:
        self._soon(lambda: self._do(self._say(request, number, made, told)))

    def finished(self, request: Request) -> None:
        self._soon(lambda: self._ended(request))

    def failed(self, request: Request, failure: Failure) -> None:
        self._soon(lambda: self._do(self._fail(request, failure)))

    def busy(self, request: Request) -> None:
        self._soon(lambda: self._put_back(request))

    def idle(self) -> None:
        self._soon(self._begin)

    def crashed(self, bug: BaseException) -> None:
        self._soon(lambda: self._crashed(bug))

    def _soon(self, call: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(call)

    # -- and what becomes of it, in the loop

    def _is_mine(self, request: Request) -> bool:
        return self._requests.in_hand.get(request.place) is request

    async def _say(
        self, request: Request, number: int, made: Made, told: Callable[[], None]
    ) -> None:
        """Makes a result durable, then lets the worker go on."""
        if not self._is_mine(request):
            return
        tx = self._outlet.begin()
        topic = next(topic for topic in request.work.writes if topic.name == made.topic)
        cause = (request.recorded, request.record)
        output = (topic, made.event, made.value)
        tx.emit(request.work.name, number, output, cause, tx.now_ms)
        try:
            await self._outlet.say(tx)
        except ValueError as too_large:
            if self._pool is not None:
                self._pool.abandon(request)
            await self._fail(request, Failure("bug", str(too_large), permanent=False))
            return
        told()

    async def _fail(self, request: Request, failure: Failure) -> None:
        """Says what the work says of its failure; the fold decides about another attempt."""
        if not self._is_mine(request):
            return
        self._metrics.add("millrace_work_failed_total", work=request.work.name, code=failure.code)
        await self._outlet.say(self._failure(request, failure))
        self._ended(request)

    def _failure(self, request: Request, failure: Failure) -> KafkaTransaction:
        work, record, tx = request.work, request.record, self._outlet.begin()
        topology = self._requests.desks[work.name].topology
        try:
            outputs = [checked(work, emit) for emit in work.failed(record.recorded, failure)]
        except Exception as bug:  # noqa: BLE001 - a bug of the work, told by a dead letter
            append_letter(tx, "record", topology, work.name, record, reason_of(bug))
            return tx
        for number, output in enumerate(outputs):
            tx.emit(f"{work.name}/failed", number, output, (record.recorded, record), tx.now_ms)
        return tx

    def _ended(self, request: Request) -> None:
        """Everything that the request led to is durable: it is acknowledged."""
        if self._dropped(request):
            request.delivery.done()
            self._metrics.add("millrace_work_done_total", work=request.work.name)
            self._options.at(points.WORK_DONE)
            self._begin()

    def _put_back(self, request: Request) -> None:
        """A store was busy: the request waits, longer each time, and is not counted as failed."""
        if not self._dropped(request):
            return
        self._metrics.add("millrace_work_busy_total", work=request.work.name)
        pause_s = min(BACKOFF_MIN_S * 2**request.busy_times, BACKOFF_MAX_S)
        request.busy_times += 1
        self._later(pause_s, lambda: self._requests.queue(request))

    def _dropped(self, request: Request) -> bool:
        dropped = self._requests.drop(request)
        if not self._requests.in_hand:
            self._empty.set()
        return dropped

    def _later(self, pause_s: float, call: Callable[[], None]) -> None:
        epoch = self._epoch

        def due() -> None:
            if epoch == self._epoch:
                call()
                self._begin()

        self._loop.call_later(pause_s, due)

    def _do(self, job: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        bug = None if task.cancelled() else task.exception()
        if bug is not None:
            self._crashed(bug)

    @property
    def known(self) -> int:
        """Records of the lane that this process has and that are not done."""
        return self.intake.undone

    def gauges(self) -> None:
        """Puts queue lengths into the metrics."""
        for name, desk in self._requests.desks.items():
            self._metrics.put("millrace_work_in_hand", desk.in_hand, work=name)
            self._metrics.put("millrace_work_stopped", len(self._held), work=name)
            queued = len(desk.queue)
            self._metrics.put("millrace_work_queued", queued, work=name, lane=self.lane.name)
