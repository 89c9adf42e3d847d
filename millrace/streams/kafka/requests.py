"""The requests of one lane in this process: which are queued, which are in hand, whose turn it is.

Within a work the request appended first goes first; between works the one that was served longest
ago. A request that comes again while it is in hand is the same request. Nothing here waits, and
nothing here may start or end a work.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from millrace.schemas.envelope import Recorded
from millrace.streams.declarations import Work
from millrace.streams.folding.records import Record
from millrace.streams.kafka.intake import Delivery


class Place(NamedTuple):
    """What makes two requests the same: the work, the record, and the redrive that named it."""

    work: str
    partition: int
    offset: int
    redrive: int


# No redrive asked for it.
NO_REDRIVE = -1


class Request:
    """A record that a work is to take. `delivery` is what is acknowledged when it is done."""

    __slots__ = ("busy_times", "delivery", "place", "record", "work")

    def __init__(self, work: Work, record: Record, delivery: Delivery) -> None:
        self.work = work
        self.record = record
        self.delivery = delivery
        self.busy_times = 0
        redrive = NO_REDRIVE if delivery.record is record else delivery.record.offset
        self.place = Place(work.name, record.partition.index, record.offset, redrive)

    @property
    def recorded(self) -> Recorded[Any]:
        return self.record.recorded


class Desk:
    """One work of the lane."""

    def __init__(self, work: Work, topology: str) -> None:
        self.work = work
        self.topology = topology
        self.queue: list[tuple[int, int, Request]] = []
        self.in_hand = 0
        self.served = 0

    @property
    def may_begin(self) -> bool:
        has_slot = self.work.slots is None or self.in_hand < self.work.slots
        return has_slot and bool(self.queue)


class Requests:
    """All works of a lane. Calls are of one thread."""

    def __init__(self, works: Iterable[tuple[str, Work]]) -> None:
        self.desks = {work.name: Desk(work, topology) for topology, work in works}
        self.in_hand: dict[Place, Request] = {}
        self._turn = 0
        self._serial = count()

    def takers(self, event: Any) -> list[Work]:
        """The works that take an event of that type."""
        works = [desk.work for desk in self.desks.values()]
        return [work for work in works if not work.takes or isinstance(event, work.takes)]

    def queue(self, request: Request) -> None:
        """It waits for a slot; where it is in hand already, its end acknowledges this delivery."""
        same = self.in_hand.get(request.place)
        if same is not None:
            same.delivery = request.delivery
            return
        desk = self.desks[request.work.name]
        heappush(desk.queue, (request.record.append_ms, next(self._serial), request))

    def take(self) -> Request | None:
        """The next request, in hand from now on; None where none may be begun."""
        desks = [desk for desk in self.desks.values() if desk.may_begin]
        if not desks:
            return None
        desk = min(desks, key=lambda desk: desk.served)
        self._turn += 1
        desk.served = self._turn
        _, _, request = heappop(desk.queue)
        desk.in_hand += 1
        self.in_hand[request.place] = request
        return request

    def drop(self, request: Request) -> bool:
        """It is in hand no more; false where it was not: its word comes too late."""
        if self.in_hand.get(request.place) is not request:
            return False
        del self.in_hand[request.place]
        self.desks[request.work.name].in_hand -= 1
        return True

    def forget_queued(self) -> None:
        """What was not begun comes again."""
        for desk in self.desks.values():
            desk.queue.clear()
