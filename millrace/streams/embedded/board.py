"""Which request goes to a worker next, and what its results become on the log.

Urgent goes before normal before backfill; within a lane the request appended first; between works
of one urgency the one that was served longest ago. No lane starves: every eighth slot goes round
the lanes that the most urgent one pushes aside. This module must never run a work or wait for one.
"""

from heapq import heappop, heappush
from typing import Any

from millrace.schemas.envelope import Recorded
from millrace.streams.declarations import Failure, Topology, Work
from millrace.streams.embedded.partitions import StoredRecord
from millrace.streams.embedded.redriven import Redriven
from millrace.streams.embedded.requests import Requests
from millrace.streams.embedded.transaction import PartitionedLog, Transaction
from millrace.streams.folding.keyed import reason_of
from millrace.streams.folding.letters import append_letter
from millrace.streams.metrics import Metrics
from millrace.streams.working.attempts import checked

# Every so many slots a lane goes first that is pushed aside.
BACKFILL_EVERY = 8
Queue = list[tuple[int, StoredRecord, Requests]]


class Hand:
    """A request in a worker's hands."""

    __slots__ = ("record", "requests", "work")

    def __init__(self, work: Work, record: StoredRecord, requests: Requests) -> None:
        self.work = work
        self.record = record
        self.requests = requests

    @property
    def recorded(self) -> Recorded[Any]:
        return self.record.recorded


class Desk:
    """One work: its queues by lane, how many requests are in hand, when it was last served."""

    def __init__(self, work: Work, topology: str, number: int) -> None:
        self.work = work
        self.number = number
        self.topology = topology
        self.queues: list[Queue] = [[] for _ in work.lanes]
        self.requests: list[Requests] = []
        self.in_hand = 0
        self.served = 0

    def lanes_waiting(self) -> list[int]:
        """Lanes with a request that may be taken now."""
        if self.work.slots is not None and self.in_hand >= self.work.slots:
            return []
        return [lane for lane, queue in enumerate(self.queues) if queue]


def requests_of(work: Work, step: str, log: PartitionedLog) -> list[Requests]:
    """A reader of every partition of every lane."""
    return [
        Requests(work, step, lane, partition, log.store)
        for lane, topic in enumerate(work.lanes)
        for partition in log.partitions[topic.name]
    ]


class Board:
    """All works of all topologies."""

    def __init__(
        self,
        topologies: tuple[Topology, ...],
        log: PartitionedLog,
        metrics: Metrics,
        redriven: Redriven,
    ) -> None:
        self._metrics = metrics
        self._redriven = redriven
        self._turn = 0
        # The turn at which each lane was served last.
        self._lane_served: dict[int, int] = {}
        self._desks: dict[str, Desk] = {}
        for topology in topologies:
            for work in topology.works:
                step = f"{topology.name}/{work.name}"
                number = log.store.number_of("step", step)
                desk = self._desks[work.name] = Desk(work, topology.name, number)
                desk.requests += requests_of(work, step, log)
                again = [log.find(place) for place in redriven.of(number)]
                self._take_again(work.name, again)

    def _take_again(self, name: str, records: list[StoredRecord | None]) -> None:
        """Requests that were to be done again when the engine ended, and can still be read."""
        for record in records:
            if record is not None and record.is_readable:
                self.again(name, record)

    def refill(self) -> bool:
        """Looks for committed requests; whether there are bad ones for `settle`."""
        bad = False
        for desk in self._desks.values():
            for requests in desk.requests:
                for record in requests.fetch():
                    entry = (record.sequence, record, requests)
                    heappush(desk.queues[requests.lane], entry)
                bad = bad or bool(requests.bad)
        return bad

    def settle(self, tx: Transaction) -> None:
        """Dead letters for records in the lanes that are no events."""
        for desk in self._desks.values():
            for requests in desk.requests:
                for record, reason in requests.bad:
                    name = desk.work.name
                    append_letter(tx, "record", desk.topology, name, record, reason)
                    requests.finish(record.offset)
                    tx.join(requests)

    def take(self) -> Hand | None:
        """The next request, None where none may be taken."""
        waiting = [(lane, desk) for desk in self._desks.values() for lane in desk.lanes_waiting()]
        if not waiting:
            return None
        self._turn += 1
        backwards = self._turn % BACKFILL_EVERY == 0
        lane, *pushed_aside = sorted({lane for lane, _ in waiting})
        if backwards and pushed_aside:
            lane = min(pushed_aside, key=lambda lane: self._lane_served.get(lane, 0))
        self._lane_served[lane] = self._turn
        desk = min((d for at, d in waiting if at == lane), key=lambda desk: desk.served)
        desk.served = self._turn
        desk.in_hand += 1
        _, record, requests = heappop(desk.queues[lane])
        return Hand(desk.work, record, requests)

    def put_back(self, hand: Hand) -> None:
        """Nobody works on it any more, and it is not done: it waits for a slot again."""
        desk = self._desks[hand.work.name]
        desk.in_hand -= 1
        queue = desk.queues[hand.requests.lane]
        heappush(queue, (hand.record.sequence, hand.record, hand.requests))

    def drop(self, hand: Hand) -> None:
        """Its mark is durable."""
        self._desks[hand.work.name].in_hand -= 1

    def emit(
        self, tx: Transaction, hand: Hand, number: int, topic_name: str, event: Any, value: bytes
    ) -> None:
        """Appends one result, which `checked` has passed."""
        topic = next(topic for topic in hand.work.writes if topic.name == topic_name)
        cause = (hand.record.recorded, hand.record)
        tx.emit(hand.work.name, number, (topic, event, value), cause, tx.now_ms)

    def finish(self, tx: Transaction, hand: Hand) -> None:
        """Marks the request done."""
        hand.requests.finish(hand.record.offset)
        tx.join(hand.requests)
        self._redriven.done(tx, self._desks[hand.work.name].number, hand.record.place)

    def fail(self, tx: Transaction, hand: Hand, failure: Failure) -> None:
        """Appends what the work says of its failure, and marks the request done, in one."""
        work, record = hand.work, hand.record
        self._metrics.add("millrace_work_failed_total", work=work.name, code=failure.code)
        topology = self._desks[work.name].topology
        cause = (record.recorded, record)
        try:
            outputs = [checked(work, emit) for emit in work.failed(record.recorded, failure)]
        except Exception as bug:  # noqa: BLE001 - a bug of the work, told by a dead letter
            append_letter(tx, "record", topology, work.name, record, reason_of(bug))
            outputs = []
        for number, output in enumerate(outputs):
            tx.emit(f"{work.name}/failed", number, output, cause, tx.now_ms)
        self.finish(tx, hand)

    def again(self, step: str, record: StoredRecord) -> bool:
        """Queues a request that `Redriven` keeps; whether there is such a work."""
        desk = self._desks.get(step)
        if desk is None:
            return False
        for requests in desk.requests:
            if requests.partition is record.partition:
                heappush(desk.queues[requests.lane], (record.sequence, record, requests))
                return True
        return False

    def gauges(self) -> None:
        """Puts queue lengths into the metrics."""
        for name, desk in self._desks.items():
            self._metrics.put("millrace_work_in_hand", desk.in_hand, work=name)
            stopped = sum(requests.stopped is not None for requests in desk.requests)
            self._metrics.put("millrace_work_stopped", stopped, work=name)
            for lane, queue in enumerate(desk.queues):
                lane_name = desk.work.lanes[lane].name
                self._metrics.put("millrace_work_queued", len(queue), work=name, lane=lane_name)

    @property
    def unfinished(self) -> int:
        """Requests queued or in hand."""
        return sum(desk.in_hand + sum(map(len, desk.queues)) for desk in self._desks.values())
