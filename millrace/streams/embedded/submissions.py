"""What other threads ask of the engine's thread: each is applied in a transaction and answered
after it, when it is durable, or told why it is not.

Nothing here may touch the engine's memory outside `apply`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from millrace.schemas import ids
from millrace.schemas.envelope import Envelope
from millrace.schemas.events import Event
from millrace.schemas.topics import Topic
from millrace.sinks.ports import Appended
from millrace.streams.declarations import Failure
from millrace.streams.embedded.board import Board, Hand
from millrace.streams.embedded.given_ids import GivenIds
from millrace.streams.embedded.partitions import Partition, StoredRecord
from millrace.streams.embedded.positions import Positions
from millrace.streams.embedded.redriven import Redriven
from millrace.streams.embedded.transaction import Transaction
from millrace.streams.folding.letters import append_letter


class Changed(Protocol):
    """What submissions may change of the engine."""

    board: Board
    given_ids: GivenIds
    positions: Positions
    redriven: Redriven


class Submission(Protocol):
    def apply(self, core: Changed, tx: Transaction) -> None: ...
    def durable(self) -> None: ...
    def refused(self, problem: BaseException) -> bool:
        """The transaction failed for want of space or time; whether to try again later."""
        ...


class Outside(NamedTuple):
    """A fact from outside, encoded by the thread that appends it."""

    topic: Topic
    key: bytes
    value: bytes
    event: Event | None
    cause: str
    at_ms: int | None
    event_id: str | None


class Appending:
    """Facts from outside, all or none. Refused where there is no space: the caller knows best."""

    def __init__(
        self,
        facts: Sequence[Outside],
        answer: Callable[[tuple[Appended, ...] | BaseException], None],
    ) -> None:
        self._facts = facts
        self._answer = answer
        self._appended: list[Appended] = []

    def apply(self, core: Changed, tx: Transaction) -> None:
        self._appended = [self._put(fact, core.given_ids, tx) for fact in self._facts]

    def _put(self, fact: Outside, given: GivenIds, tx: Transaction) -> Appended:
        partition = tx.log.partition_for(fact.topic.name, fact.key, fact.event)
        if fact.event_id is not None:
            before = given.find(partition.number, fact.event_id)
            if before is not None:
                record = tx.log.at(before)
                where = record.partition
                return Appended(fact.topic.name, where.index, record.offset, fact.event_id)
        name, index, offset = fact.topic.name, partition.index, partition.end
        id_ = fact.event_id or ids.caused(name, str(index), offset)
        at_ms = tx.now_ms if fact.at_ms is None else fact.at_ms
        envelope = Envelope(id_, at_ms, fact.cause)
        record = tx.put(partition, fact.key, fact.value, fact.event, envelope)
        if fact.event_id is not None:
            given.add(tx, partition.number, fact.event_id, record.place)
        return Appended(name, index, offset, id_)

    def durable(self) -> None:
        self._answer(tuple(self._appended))

    def refused(self, problem: BaseException) -> bool:
        self._answer(problem)
        return False


@dataclass(slots=True)
class Emitted:
    """The n-th result of a work, checked and encoded by the worker; `told` lets it go on."""

    hand: Hand
    number: int
    topic: str
    event: Any
    value: bytes
    told: Callable[[], None]

    def apply(self, core: Changed, tx: Transaction) -> None:
        core.board.emit(tx, self.hand, self.number, self.topic, self.event, self.value)

    def durable(self) -> None:
        self.told()

    def refused(self, problem: BaseException) -> bool:
        return True


@dataclass(slots=True)
class Finished:
    """All results of a request are durable, or nobody wants it any more."""

    hand: Hand
    told: Callable[[], None]

    def apply(self, core: Changed, tx: Transaction) -> None:
        core.board.finish(tx, self.hand)

    def durable(self) -> None:
        self.told()

    def refused(self, problem: BaseException) -> bool:
        return True


@dataclass(slots=True)
class Failed:
    """An attempt failed; the fold that asked decides about another."""

    hand: Hand
    failure: Failure
    told: Callable[[], None]

    def apply(self, core: Changed, tx: Transaction) -> None:
        core.board.fail(tx, self.hand, self.failure)

    def durable(self) -> None:
        self.told()

    def refused(self, problem: BaseException) -> bool:
        return True


@dataclass(slots=True)
class Lettered:
    """A record that a projection can't use."""

    kind: str
    topology: str
    step: str
    record: StoredRecord
    reason: str

    def apply(self, core: Changed, tx: Transaction) -> None:
        append_letter(tx, self.kind, self.topology, self.step, self.record, self.reason)

    def durable(self) -> None:
        pass

    def refused(self, problem: BaseException) -> bool:
        return True


@dataclass(slots=True)
class Reprojected:
    """A record that an operator redrove is rows now, or a dead letter again."""

    step: int
    place: int

    def apply(self, core: Changed, tx: Transaction) -> None:
        core.redriven.done(tx, self.step, self.place)

    def durable(self) -> None:
        pass

    def refused(self, problem: BaseException) -> bool:
        return True


@dataclass(slots=True)
class Projected:
    """Rows up to this position are durable in the tables."""

    step: int
    partition: Partition
    next: int

    def apply(self, core: Changed, tx: Transaction) -> None:
        core.positions.put(tx, self.step, self.partition, self.next)

    def durable(self) -> None:
        pass

    def refused(self, problem: BaseException) -> bool:
        return True
