"""Seeded bad luck over the real topologies and the real engine, in memory.

A seed decides everything: which task folds which input how far, when works say what, when they are
lost, when everything crashes, how late a timer is. Whatever it decides, the run must come to what
the run without bad luck came to, and keep every promise in invariants.py.
"""

import random
from dataclasses import replace
from typing import Any, cast

from millrace.processors.media.probe import Limits
from millrace.schemas import codec
from millrace.schemas.topics import COMMANDS
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.sinks.tables import TABLES
from millrace.streams import points
from millrace.streams.declarations import Failure, WorkPorts
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.driver import START_MS, Attempt, Driver
from millrace.streams.embedded.submissions import Appending, Failed, Outside
from millrace.streams.embedded.tasks import Input, Task
from millrace.streams.points import nowhere
from millrace.streams.topologies import TOPOLOGIES
from millrace.streams.working.attempts import Made
from tests.fakes import faked
from tests.simulation.compare import Facts, facts
from tests.simulation.script import DAYS, HOUR_MS, Fact

PARTITIONS = 2
# Clock jumps stay under a day a phase: after a day of silence folds give up, as they should.
JUMP_MS_MAX = 20 * 60_000
JUMPS_MAX = 20
STEPS_MAX = 50_000
DOOMS = (
    points.BEFORE_WRITE,
    points.BEFORE_COMMIT,
    points.AFTER_COMMIT,
    points.TIMER_FOLDED,
    points.ROWS_WRITTEN,
)
LOST = Failure("worker_lost", "simulated", permanent=False)


class Crash(Exception):
    """Everything stops here."""


class Simulation:
    """One run. `luck` None is the run without faults, in the engine's own order."""

    def __init__(self, luck: random.Random | None) -> None:
        self.luck = luck
        # The point at which everything crashes next.
        self.doom: str | None = None
        self.tables = SqliteTables(None, lambda: 0)
        self.tables.create(TABLES)
        self.driver = Driver(
            faked(TOPOLOGIES),
            tables=self.tables,
            ports=self.ports,
            options=Options(partitions=PARTITIONS, at=self.at),
        )
        self.jumps = 0
        self.zombies: list[Attempt] = []
        self.happened: dict[str, int] = {}

    def ports(self) -> WorkPorts:
        nothing = cast("Any", None)
        return WorkPorts(nothing, self.tables, nothing, "worker", cast("Limits", nothing), nowhere)

    def run(self) -> Facts:
        for facts_of_day, hours in DAYS:
            for fact in self.shuffled(facts_of_day()):
                self.append(fact)
            if self.luck is not None:
                self.suffer(self.luck)
            self.rest()
            self.driver.advance(max(0, hours * HOUR_MS - self.elapsed_ms()))
        return facts(self.driver, self.tables)

    def elapsed_ms(self) -> int:
        return self.driver.clock.now_ms - START_MS

    def rest(self) -> None:
        self.driver.settle()

    def shuffled(self, told: list[Fact]) -> list[Fact]:
        """Another order across topics and keys; the order of one key in one topic stays."""
        if self.luck is None:
            return told
        queues: dict[tuple[str, bytes], list[Fact]] = {}
        for fact in told:
            queues.setdefault((fact.topic.name, fact.key), []).append(fact)
        mixed = []
        while queues:
            name = self.luck.choice(sorted(queues))
            mixed.append(queues[name].pop(0))
            if not queues[name]:
                del queues[name]
            if self.luck.random() < 0.1:
                mixed.append(mixed[-1])
        return mixed

    def append(self, fact: Fact) -> None:
        event = fact.event
        if isinstance(event, bytes):
            outside = Outside(fact.topic, fact.key, event, None, "", fact.at_ms, None)
        else:
            value = codec.encode(event)
            # What people ask bears an id, so that a repeated call asks once; facts need none.
            asked = f"{event.NAME} {fact.at_ms}" if fact.topic is COMMANDS else None
            outside = Outside(fact.topic, fact.key, value, event, "", fact.at_ms, asked)
        appending = Appending([outside], lambda answer: None)
        self.driver.transact([appending], fold=False)

    def suffer(self, luck: random.Random) -> None:
        """Steps in random order, with faults between them, until none has anything to do."""
        idle = 0
        for _ in range(STEPS_MAX):
            name, step = luck.choices(self.steps, self.weights)[0]
            did = step(luck)
            idle = 0 if did else idle + 1
            if did:
                self.happened[name] = self.happened.get(name, 0) + 1
            if idle > 60:
                return
        raise AssertionError(f"not at rest after {STEPS_MAX} steps")

    @property
    def steps(self) -> list[tuple[str, Any]]:
        return [
            ("fold", self.fold_some),
            ("fire", self.fire),
            ("take", self.take),
            ("result", self.result),
            ("project", self.project),
            ("crash", self.crash),
            ("half", self.half_a_transaction),
            ("lose", self.lose),
            ("double", self.double),
            ("zombie", self.zombie),
            ("jump", self.jump),
        ]

    weights = (40, 6, 12, 25, 6, 0.5, 3, 2, 3, 3, 2)

    def fold_some(self, luck: random.Random) -> bool:
        """A random task folds a few records of a random input, in a transaction."""
        task = luck.choice(self.driver.core.tasks)
        tx = self.driver.core.begin()
        if not task.fold(tx, luck.choice((1, 1, 2, 5, 50)), self.pick):
            return False
        return self.driver.core.commit(tx)

    def pick(self, live: list[Input]) -> tuple[Input, int]:
        assert self.luck is not None
        chosen = self.luck.choice(live)
        return chosen, chosen.head.sequence + self.luck.choice((1, 3, 1 << 60))

    def fire(self, luck: random.Random) -> bool:
        task: Task = luck.choice(self.driver.core.tasks)
        tx = self.driver.core.begin()
        did = task.fire(tx) > 0
        self.driver.core.commit(tx)
        return did

    def take(self, luck: random.Random) -> bool:
        return len(self.driver.attempts) < 6 and self.driver.take() is not None

    def result(self, luck: random.Random) -> bool:
        if not self.driver.attempts:
            return False
        self.driver.advance_work(luck.choice(self.driver.attempts))
        return True

    def project(self, luck: random.Random) -> bool:
        return self.driver.project()

    def crash(self, luck: random.Random) -> bool:
        """Everything but the store and the tables is forgotten."""
        self.zombies.clear()
        self.driver.reopen()
        return True

    def at(self, point: str) -> None:
        if point == self.doom:
            raise Crash(point)

    def half_a_transaction(self, luck: random.Random) -> bool:
        """A crash within a transaction, at one of the engine's points."""
        self.doom = luck.choice(DOOMS)
        try:
            self.driver.transact()
            self.driver.project()
        except Crash:
            self.crash(luck)
            return True
        finally:
            self.doom = None
        return False

    def lose(self, luck: random.Random) -> bool:
        """A worker is lost with the result it was about to say; sometimes it only seems so."""
        taken = self.losable(luck)
        if taken is None:
            return False
        if luck.random() < 0.5:
            self.zombies.append(replace(taken))
        else:
            next(taken.results, None)
        told = self.driver.submission(taken, LOST)
        assert isinstance(told, Failed)
        self.driver.transact([told], fold=False)
        return True

    def losable(self, luck: random.Random) -> Attempt | None:
        """An attempt that is not the last of its request: running out of attempts is no luck."""
        early = [
            one
            for one in self.driver.attempts
            if getattr(one.hand.record.recorded.event, "attempt", 9) < 3
        ]
        return luck.choice(early) if early else None

    def double(self, luck: random.Random) -> bool:
        """A result is appended twice."""
        if not self.driver.attempts:
            return False
        taken = luck.choice(self.driver.attempts)
        result = next(taken.results, None)
        told = self.driver.submission(taken, result)
        again = [told, told] if isinstance(result, Made) else [told]
        self.driver.transact(again, fold=False)
        return True

    def zombie(self, luck: random.Random) -> bool:
        """A worker that was given up says a result after all, late."""
        if not self.zombies:
            return False
        late = luck.choice(self.zombies)
        result = next(late.results, None)
        if not isinstance(result, Made):
            self.zombies.remove(late)
            return False
        self.driver.transact([self.driver.submission(late, result)], fold=False)
        return True

    def jump(self, luck: random.Random) -> bool:
        """Time passes, and nothing ran meanwhile."""
        if self.jumps >= JUMPS_MAX * len(DAYS):
            return False
        self.jumps += 1
        self.driver.clock.now_ms += luck.choice((1_000, 5_000, 60_000, JUMP_MS_MAX))
        return True
