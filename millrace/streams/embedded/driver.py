"""The engine in memory, on one thread, with a clock that is set: what topologies are tested with.

Events go in at one topic and come out at another, time moves when a test moves it, works run where
a test may watch them. It must never differ from the engine in what a transaction does: it runs the
same core on the same store, only smaller and by hand.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from millrace.schemas import codec
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.schemas.topics import Topic
from millrace.sinks.ports import Appended, StoreBusy, Tables
from millrace.streams.declarations import Failure, Topology, WorkPorts
from millrace.streams.embedded.board import Hand
from millrace.streams.embedded.core import Core, Options
from millrace.streams.embedded.partitions import StoredRecord
from millrace.streams.embedded.projecting import Projector
from millrace.streams.embedded.store import Store
from millrace.streams.embedded.submissions import (
    Appending,
    Emitted,
    Failed,
    Finished,
    Outside,
    Submission,
)
from millrace.streams.working.attempts import Made, attempt

START_MS = 1_700_000_000_000
# Transactions after which a driver that does not come to rest is told so.
STEPS_MAX = 100_000


@dataclass(slots=True)
class Clock:
    """Append time that stands still until it is moved."""

    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms


@dataclass(slots=True)
class Attempt:
    """A request being worked on, one result at a time."""

    hand: Hand
    results: Iterator[Made | Failure]
    number: int = 0


class Driver:
    """Topologies over a store in memory.

    `ports` is needed where a topology has works, `tables` where it has projections. `reopen` is the
    crash: everything but the store is forgotten.
    """

    def __init__(
        self,
        topologies: tuple[Topology, ...],
        *,
        tables: Tables | None = None,
        ports: Callable[[], WorkPorts] | None = None,
        options: Options | None = None,
        store: Store | None = None,
    ) -> None:
        self.clock = Clock()
        self.store = store or Store(None)
        self._topologies = topologies
        self._tables = tables
        self._ports = ports
        self._options = replace(options or Options(partitions=1), now_ms=self.clock)
        self._open()

    def _open(self) -> None:
        self.core = Core(self.store, self._topologies, self._options)
        self.attempts: list[Attempt] = []
        self._pending: list[Submission] = []
        self.projector = (
            Projector(
                self._topologies,
                self.core.log,
                self._tables,
                self._pending.append,
                self.core.metrics,
                self._options.at,
            )
            if self._tables is not None
            else None
        )

    def reopen(self) -> None:
        """Forgets all memory, as a crash does, and opens the store again."""
        self._open()

    def pipe(
        self,
        topic: Topic,
        event: Event,
        *,
        at_ms: int | None = None,
        event_id: str | None = None,
        cause: str = "",
    ) -> Appended:
        """Appends a fact from outside, in a transaction of its own; nothing else moves."""
        value = codec.encode(event)
        fact = Outside(topic, topic.key(event), value, event, cause, at_ms, event_id)
        return self._append(fact)

    def pipe_bytes(self, topic: Topic, key: bytes, value: bytes) -> Appended:
        """Appends bytes as another producer might: they may be no event at all."""
        return self._append(Outside(topic, key, value, None, "", None, None))

    def _append(self, fact: Outside) -> Appended:
        answers: list[tuple[Appended, ...] | BaseException] = []
        self.transact([Appending([fact], answers.append)], fold=False)
        answer = answers[0]
        assert not isinstance(answer, BaseException)
        return answer[0]

    def transact(self, submissions: Sequence[Submission] = (), *, fold: bool = True) -> bool:
        """One transaction, as the engine's thread makes them; whether it did anything.

        StoreBusy, StoreFull: callers were told, and what comes from works and projections waits.
        """
        submissions = [*self._pending, *submissions]
        self._pending.clear()
        tx = self.core.begin()
        try:
            self.core.apply(tx, submissions)
            if fold:
                self.core.fold(tx)
            did = self.core.commit(tx)
        except StoreBusy as problem:
            self._pending += [one for one in submissions if one.refused(problem)]
            raise
        for submission in submissions:
            submission.durable()
        return did

    def settle(self) -> None:
        """Folds, works and projects until nothing is left to do at this time."""
        for _ in range(STEPS_MAX):
            moved = self.transact()
            moved = self.work() or moved
            moved = self.project() or moved
            if not moved and not self._pending:
                return
        raise AssertionError(f"not at rest after {STEPS_MAX} transactions")

    def work(self) -> bool:
        """Works on every request there is, to its end; whether there was one."""
        did = False
        while self.take() is not None:
            did = True
            while self.attempts:
                self.advance_work(self.attempts[-1])
        return did

    def take(self) -> Attempt | None:
        """Takes the next request in hand, without doing anything yet."""
        if self._ports is None:
            return None
        self.core.board.refill()
        hand = self.core.board.take()
        if hand is None:
            return None
        ports = self._ports()
        taken = Attempt(hand, attempt(hand.work, hand.record.recorded, ports))
        self.attempts.append(taken)
        return taken

    def advance_work(self, taken: Attempt) -> None:
        """The next result of an attempt, or its end, in a transaction."""
        try:
            result = next(taken.results, None)
        except StoreBusy:
            self.attempts.remove(taken)
            self.core.board.put_back(taken.hand)
            return
        self.transact([self.submission(taken, result)], fold=False)

    def submission(self, taken: Attempt, result: Made | Failure | None) -> Submission:
        """What a result of an attempt asks of the engine."""
        if isinstance(result, Made):
            number, taken.number = taken.number, taken.number + 1
            return Emitted(taken.hand, number, *result, told=lambda: None)
        if result is None:
            return Finished(taken.hand, lambda: self._ended(taken))
        return Failed(taken.hand, result, lambda: self._ended(taken))

    def _ended(self, taken: Attempt) -> None:
        self.attempts.remove(taken)
        self.core.board.drop(taken.hand)

    def project(self) -> bool:
        """Projects what is committed; whether there was anything."""
        if self.projector is None:
            return False
        self.projector.redrive(self.core.redriver.reproject)
        self.core.redriver.reproject.clear()
        return self.projector.run(self.store.connection)

    def advance(self, by_ms: int) -> None:
        """Moves the clock, stopping wherever a timer is due, and settles."""
        assert by_ms >= 0, "time goes on, and never back"
        until_ms = self.clock.now_ms + by_ms
        self.settle()
        while True:
            due_ms = self.core.next_due_ms
            if due_ms is None or due_ms > until_ms:
                break
            self.clock.now_ms = max(self.clock.now_ms, due_ms)
            self.settle()
        self.clock.now_ms = until_ms
        self.settle()

    def records(self, topic: Topic) -> list[StoredRecord]:
        """Every committed record of a topic, partition by partition."""
        found = []
        for partition in self.core.log.partitions[topic.name]:
            end, position = partition.committed, 0
            while read := partition.read(self.store.connection, position, end, 1000):
                found += read
                position = read[-1].offset + 1
        return found

    def read(self, topic: Topic) -> list[Recorded[Any]]:
        """As `records`, as steps see them."""
        return [record.recorded for record in self.records(topic)]

    def events(self, topic: Topic) -> list[Any]:
        """The events alone."""
        return [recorded.event for recorded in self.read(topic)]

    def state(self, topology: str, fold: str, key: bytes) -> Any | None:
        """What the fold holds for the key, None where it holds nothing."""
        for task in self.core.tasks:
            if task.topology.name == topology:
                held = task.folds[fold].current(key)
                if held is not None:
                    return held.state
        return None
