"""The engine without threads and without a clock of its own: what one transaction may do.

Both drivers stand on it: the engine's thread (engine.py) and the simulator's seeded scheduler
(driver.py). It must never wait, and never start a transaction by itself.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from millrace.schemas import codec
from millrace.schemas.topics import TOPICS, Topic
from millrace.streams.declarations import Topology
from millrace.streams.embedded.board import Board
from millrace.streams.embedded.compaction import Compactor
from millrace.streams.embedded.given_ids import GivenIds
from millrace.streams.embedded.positions import Positions
from millrace.streams.embedded.redriven import Redriven
from millrace.streams.embedded.redriving import Redriver, Steps, steps_of
from millrace.streams.embedded.store import Store, busy_errors
from millrace.streams.embedded.submissions import Submission
from millrace.streams.embedded.tasks import Task
from millrace.streams.embedded.transaction import PartitionedLog, Transaction
from millrace.streams.folding.records import Decode
from millrace.streams.folding.task import inputs_of
from millrace.streams.metrics import Metrics
from millrace.streams.points import At, nowhere

# A batch commits when the inputs run dry or at one of these (design section 5).
RECORDS_MAX = 2000
BATCH_S = 0.1
# Records that a task folds before the next one has its turn.
SLICE = 250
# A clock that goes back further was wrong before; waiting for it would stop every timer so long.
CLOCK_BACK_MS = 60_000


@dataclass(frozen=True, slots=True)
class Options:
    """What may differ between engines. Times are milliseconds of the epoch."""

    topics: tuple[Topic, ...] = TOPICS
    # For new data directories; one that exists keeps the number it was made with.
    partitions: int = 4
    # More keys parked within a minute stop the topology.
    parked_a_minute_max: int = 100
    now_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)
    at: At = nowhere
    decode: Decode = codec.decode


class Core:
    """Everything that one store holds, opened."""

    def __init__(self, store: Store, topologies: tuple[Topology, ...], options: Options) -> None:
        self.options = options
        self.topologies = topologies
        self.metrics = Metrics(options.parked_a_minute_max)
        count = store.partitions(options.partitions)
        self.log = PartitionedLog(store, options.topics, count, options.decode)
        self.tasks = [
            Task(topology, index, self.log, self.metrics, options.at)
            for topology in topologies
            if topology.folds
            for index in range(count)
        ]
        self.redriven = Redriven(store)
        self.board = Board(topologies, self.log, self.metrics, self.redriven)
        self.given_ids = GivenIds(store)
        self.positions = Positions(store)
        steps = steps_of(topologies, store)
        self.redriver = Redriver(
            self.log, self.tasks, steps, self.board, self.redriven, self.positions
        )
        readers = readers_of(topologies, steps, store)
        self.compactor = Compactor(self.log, readers, self.positions)
        self.log.ready = dict.fromkeys(self.tasks)
        self._now_ms = 0

    def now_ms(self) -> int:
        """Append time. It never goes back a little; a clock that was far ahead is set right."""
        now_ms = self.options.now_ms()
        if now_ms < self._now_ms - CLOCK_BACK_MS:
            self._now_ms = now_ms
        self._now_ms = max(self._now_ms, now_ms)
        return self._now_ms

    def begin(self) -> Transaction:
        return Transaction(self.log, self.now_ms())

    @contextmanager
    def _whole(self, tx: Transaction) -> Iterator[None]:
        """Whatever is raised within leaves nothing of the transaction in memory."""
        try:
            with busy_errors():
                yield
        except BaseException:
            tx.rollback()
            # Those too that did not join: they may have seen what was never appended.
            for task in self.tasks:
                task.rollback()
            self.log.ready.update(dict.fromkeys(self.tasks))
            raise

    def apply(self, tx: Transaction, submissions: Sequence[Submission]) -> None:
        """Raises StoreBusy, StoreFull; the transaction is no more then."""
        with self._whole(tx):
            for submission in submissions:
                submission.apply(self, tx)

    def fold(self, tx: Transaction) -> None:
        """Folds what is there, outputs of this transaction included, up to the batch's limits.

        Raises StoreBusy, StoreFull; the transaction is no more then.
        """
        with self._whole(tx):
            self._fold(tx)

    def _fold(self, tx: Transaction) -> None:
        if self.redriver.has_work:
            self.redriver.run(tx)
        self._retry(tx)
        self._fold_ready(tx)
        for task in self.tasks:
            if self.runs(task) and task.fire(tx):
                self.log.ready[task] = None
        if self.log.ready:
            self._fold_ready(tx)

    def _fold_ready(self, tx: Transaction) -> None:
        ready, done = self.log.ready, 0
        until = time.perf_counter() + BATCH_S
        waiting: list[Task] = []
        while ready and done < RECORDS_MAX and time.perf_counter() < until:
            task: Task = next(iter(ready))
            del ready[task]
            if not self.runs(task):
                continue
            folded = task.fold(tx, SLICE)
            done += folded
            if folded == SLICE:
                waiting.append(task)
                if not ready:
                    ready.update(dict.fromkeys(waiting))
                    waiting.clear()
        ready.update(dict.fromkeys(waiting))

    def _retry(self, tx: Transaction) -> None:
        for task in self.tasks:
            if task.stopped is not None and task.retry_at_ms <= tx.now_ms:
                task.retry(tx)

    def runs(self, task: Task) -> bool:
        return task.stopped is None and task.topology.name not in self.metrics.stopped

    def commit(self, tx: Transaction) -> bool:
        """Journals and commits; whether there was anything. Raises StoreBusy, StoreFull."""
        with self._whole(tx):
            for task in self.tasks:
                task.journal.write(tx)
            self.board.settle(tx)
            if not tx.records and not tx.participants:
                return False
            started = time.perf_counter()
            tx.commit(self.options.at)
        self.metrics.add("millrace_commits_total")
        self.metrics.add("millrace_commit_seconds_total", time.perf_counter() - started)
        self.metrics.add("millrace_appended_total", len(tx.records))
        return True

    @property
    def has_work(self) -> bool:
        """Whether another transaction would do anything, timers apart."""
        return bool(self.log.ready) or self.redriver.has_work

    @property
    def next_due_ms(self) -> int | None:
        """When the next timer, or the next look at a task that stopped, is due."""
        times = [task.next_due_ms for task in self.tasks if self._waits(task)]
        return min((time_ms for time_ms in times if time_ms is not None), default=None)

    def _waits(self, task: Task) -> bool:
        return task.topology.name not in self.metrics.stopped


def readers_of(
    topologies: tuple[Topology, ...], steps: Steps, store: Store
) -> dict[str, list[int]]:
    """Who keeps a position in each topic; called before the first transaction."""
    found: dict[str, list[int]] = defaultdict(list)
    for step in steps.values():
        for name in step.topics:
            found[name].append(step.number)
    for topology in topologies:
        for topic in inputs_of(topology):
            found[topic.name].append(store.number_of("topology", topology.name))
    return found
