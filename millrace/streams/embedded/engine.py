"""The embedded engine: one thread that owns the log, one that projects, and a pool of workers.

The engine's thread puts what callers append, what workers said and what folds decided into as few
commits as it can, and acknowledges after the commit. It waits on a condition until somebody calls
or a timer is due; while nothing happens it uses no CPU. A bug in it is a crash, told to whoever
started it, and never a line in a log.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from pathlib import Path

from millrace.sinks.ports import StoreBusy, Tables
from millrace.streams import points
from millrace.streams.declarations import Topology
from millrace.streams.embedded.board import Hand
from millrace.streams.embedded.core import Core, Options
from millrace.streams.embedded.lock import DirectoryLock
from millrace.streams.embedded.log import EmbeddedLog
from millrace.streams.embedded.pool_reports import PoolReports
from millrace.streams.embedded.projecting import Projector
from millrace.streams.embedded.projector_thread import ProjectorThread
from millrace.streams.embedded.store import FILE_NAME, Store
from millrace.streams.embedded.submissions import Appending, Projected, Submission
from millrace.streams.embedded.transaction import Transaction
from millrace.streams.working.worker import PortsFactory
from millrace.streams.working.workpool import Launch, WorkPool

# How long a store that was busy is left alone: from the first time to the longest, doubling.
BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 2.0
# Submissions of one transaction.
INTAKE_MAX = 5000
# Positions of projections wait that long for a transaction that is made anyway.
LAZY_S = 1.0


class Engine:
    """Runs topologies over a data directory from the constructor to `close`.

    Raises DirectoryLocked where another engine has the directory, StoreBusy where the disk is full.
    `crashed` is called once, from the thread that failed, with the bug; the process should end then
    and be started again. Works get their ports from `ports`, which must be picklable.
    """

    def __init__(
        self,
        data_dir: Path,
        topologies: tuple[Topology, ...],
        *,
        tables: Tables,
        ports: PortsFactory,
        workers: int,
        crashed: Callable[[BaseException], None],
        options: Options | None = None,
    ) -> None:
        self._options = options or Options()
        self._crashed_hook = crashed
        self._condition = threading.Condition()
        self._inbox: deque[Submission] = deque()
        # The newest position of each projection's partition, and since when one waits.
        self._lazy: dict[tuple[int, int, int], Projected] = {}
        self._lazy_since_s = 0.0
        # Requests whose stores were busy, by the time at which they are tried again.
        self._later: list[tuple[float, int, Hand]] = []
        self._serial = count()
        self._busy_times: dict[int, int] = {}
        self._nudged = True
        self._closing = False
        self._closed = False
        self._backoff_s = 0.0
        self.failure: BaseException | None = None
        self._lock = DirectoryLock(data_dir)
        try:
            self._open(data_dir, topologies, tables, ports, workers)
        except BaseException:
            self._lock.release()
            raise

    def _open(
        self,
        data_dir: Path,
        topologies: tuple[Topology, ...],
        tables: Tables,
        ports: PortsFactory,
        workers: int,
    ) -> None:
        self._store = Store(data_dir / FILE_NAME)
        self.core = Core(self._store, topologies, self._options)
        names = {topic.name: topic for topic in self._options.topics}
        self._reader = self._store.reader()
        self.log = EmbeddedLog(self.core.log, names, self._reader, self.submit)
        at, metrics = self._options.at, self.core.metrics
        projector = Projector(topologies, self.core.log, tables, self.submit, metrics, at)
        self._projector = projector
        self._projections = ProjectorThread(projector, self._store, self._crash)
        works = tuple(work for topology in topologies for work in topology.works)
        reports = PoolReports(self.submit, self._busy, self._nudge, self._dropped, self._crash, at)
        scratch = data_dir / "scratch"
        self._pool = WorkPool(Launch(works, ports), workers, scratch, reports, at)
        self._thread = threading.Thread(target=self._run, name="engine")

    def start(self) -> None:
        """Begins to fold, work and project; appends are taken from now on."""
        self._pool.start()
        self._projections.start()
        self._thread.start()

    def close(self) -> None:
        """Ends in order: workers are killed, appends under way are answered, positions kept.

        Idempotent.
        """
        if self._closed:
            return
        self._closed = True
        self._pool.close()
        self._projections.close()
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()
        self._reader.close()
        self._store.close()
        self._lock.release()

    def submit(self, submission: Submission) -> None:
        """Any thread. Positions of projections wait for company; everything else is done now."""
        with self._condition:
            if isinstance(submission, Projected):
                if not self._lazy:
                    self._lazy_since_s = time.monotonic()
                partition = submission.partition
                self._lazy[submission.step, partition.number, partition.index] = submission
            elif self._closing and isinstance(submission, Appending):
                submission.refused(StoreBusy("the engine is closing"))
                return
            else:
                self._inbox.append(submission)
            self._condition.notify()

    def _nudge(self) -> None:
        with self._condition:
            self._nudged = True
            self._condition.notify()

    def _busy(self, hand: Hand) -> None:
        """A store was busy: the request waits, longer each time, and is not counted as failed."""
        with self._condition:
            times = self._busy_times.get(hand.record.place, 0)
            self._busy_times[hand.record.place] = times + 1
            pause_s = min(BACKOFF_MIN_S * 2**times, BACKOFF_MAX_S)
            heappush(self._later, (time.monotonic() + pause_s, next(self._serial), hand))
            self._nudged = True
            self._condition.notify()

    def _dropped(self, hand: Hand) -> None:
        self._busy_times.pop(hand.record.place, None)
        self.core.board.drop(hand)
        self._nudged = True

    def _crash(self, bug: BaseException) -> None:
        with self._condition:
            first = self.failure is None
            self.failure = self.failure or bug
            self._closing = True
            refused = list(self._inbox)
            self._inbox.clear()
            self._condition.notify()
        for submission in refused:
            submission.refused(StoreBusy("the engine crashed"))
        if first:
            self._crashed_hook(bug)

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as bug:  # noqa: BLE001 - the hook ends the process
            self._crash(bug)

    def _turn(self) -> bool:
        """One transaction and what follows from it; false when it is time to end."""
        intake = self._await()
        if intake is None:
            return False
        core = self.core
        tx = core.begin()
        try:
            core.apply(tx, intake)
            core.fold(tx)
            core.commit(tx)
        except StoreBusy as problem:
            self._refuse(intake, problem)
            return True
        except BaseException:
            # Refused with the rest, once the failure can be seen: a caller may ask for it at once.
            with self._condition:
                self._inbox.extendleft(reversed(intake))
            raise
        self._backoff_s = 0.0
        # Followers first: who follows after an answer must not see what was appended before it.
        self.log.committed(tx.records)
        for submission in intake:
            submission.durable()
        if tx.records:
            self._options.at(points.AFTER_ACKNOWLEDGE)
        self._wake_projections(tx)
        self._dispatch()
        self._compact()
        return True

    def _compact(self) -> None:
        """Lets old records of compacted topics go; a disk that is full now is tried again later."""
        compactor = self.core.compactor
        if compactor.is_due:
            with suppress(StoreBusy):
                compactor.run()

    def _wake_projections(self, tx: Transaction) -> None:
        again = self.core.redriver.reproject
        if tx.records or again:
            self._projector.redrive(again)
            again.clear()
            self._projections.wake()

    def _dispatch(self) -> None:
        """Gives requests to idle workers."""
        board, pool = self.core.board, self._pool
        if board.refill():
            self._nudged = True
        while pool.has_idle:
            hand = board.take()
            if hand is None:
                return
            pool.assign(hand)

    def _await(self) -> list[Submission] | None:
        """Waits for a reason to make a transaction; what was submitted, None at the end."""
        with self._condition:
            while not self._has_reason():
                self._condition.wait(self._pause_s())
            if self._closing and not self._inbox and not self._lazy:
                return None
            self._nudged = False
            self._take_back()
            intake: list[Submission] = list(self._lazy.values())
            self._lazy.clear()
            while self._inbox and len(intake) < INTAKE_MAX:
                intake.append(self._inbox.popleft())
            return intake

    def _has_reason(self) -> bool:
        if self._inbox or self._nudged or self._closing or self.core.has_work:
            return True
        return self._pause_s() == 0.0

    def _pause_s(self) -> float | None:
        """Seconds until a timer, a request or a position is due; None where none is."""
        now_s, pauses = time.monotonic(), []
        due_ms = self.core.next_due_ms
        if due_ms is not None:
            pauses.append((due_ms - self.core.now_ms()) / 1000)
        if self._later:
            pauses.append(self._later[0][0] - now_s)
        if self._lazy:
            pauses.append(self._lazy_since_s + LAZY_S - now_s)
        return max(0.0, min(pauses)) if pauses else None

    def _take_back(self) -> None:
        """Requests whose pause is over queue again."""
        now_s = time.monotonic()
        while self._later and self._later[0][0] <= now_s:
            self.core.board.put_back(heappop(self._later)[2])

    def _refuse(self, intake: list[Submission], problem: StoreBusy) -> None:
        """Nothing was written: callers are told, the engine's own come back after a pause."""
        self.core.metrics.add("millrace_busy_total")
        kept = [submission for submission in intake if submission.refused(problem)]
        with self._condition:
            if self._closing:
                # The next engine does again what was not written; nobody waits for it here.
                self._inbox.clear()
                self._lazy.clear()
                return
            self._inbox.extendleft(reversed(kept))
            self._backoff_s = min(max(2 * self._backoff_s, BACKOFF_MIN_S), BACKOFF_MAX_S)
            self._condition.wait_for(lambda: self._closing, self._backoff_s)

    def metrics(self) -> Mapping[str, float]:
        """Counters and gauges by name with labels, as Prometheus writes them."""
        metrics = self.core.metrics
        self.core.board.gauges()
        metrics.put("millrace_projection_lag", self._projector.lag)
        for topology in {task.topology.name for task in self.core.tasks}:
            tasks = [task for task in self.core.tasks if task.topology.name == topology]
            metrics.put("millrace_fold_lag", sum(t.lag for t in tasks), topology=topology)
            metrics.put(
                "millrace_folds_total", sum(t.transitions for t in tasks), topology=topology
            )
        return metrics.snapshot()
