"""The folds of one topology over one partition of each of its inputs.

A task reads its inputs, hands each record to every fold that reads its topic, in declared order,
and keeps one position an input for all of them. Timers are folded here, because only a task knows
whether everything that came before them was read: a timer never overtakes the log.
"""

from collections.abc import Callable

from millrace.schemas.codec import UnknownFingerprint
from millrace.schemas.topics import TIMERS
from millrace.streams import points
from millrace.streams.declarations import Topology
from millrace.streams.embedded.partitions import Partition, StoredRecord
from millrace.streams.embedded.store import Connection, Store
from millrace.streams.embedded.stored_fold import StoredFold
from millrace.streams.embedded.transaction import PartitionedLog, Transaction
from millrace.streams.folding.keyed import KeyedFold
from millrace.streams.folding.task import FoldTask, inputs_of
from millrace.streams.metrics import Metrics
from millrace.streams.points import At

# Records read from the file at once; from memory they come without reading.
READ_MAX = 512
NO_BOUND = 1 << 62


class Input:
    """One partition that a task reads, and how far it is."""

    def __init__(self, partition: Partition, position: int, folds: tuple[KeyedFold, ...]) -> None:
        self.partition = partition
        self.folds = folds
        self.position = self.committed = position
        self._buffer: list[StoredRecord] = []
        self._next = 0

    def fill(self, store: Store) -> bool:
        """Whether there is a record to fold; it is the head then."""
        if self._next < len(self._buffer):
            return True
        if self.position >= self.partition.end:
            return False
        end = self.partition.end
        self._buffer = self.partition.read(store.connection, self.position, end, READ_MAX)
        self._next = 0
        if not self._buffer:
            self.position = end
        return bool(self._buffer)

    @property
    def head(self) -> StoredRecord:
        return self._buffer[self._next]

    def advance(self) -> None:
        self.position = self._buffer[self._next].offset + 1
        self._next += 1

    def rollback(self) -> None:
        self.position = self.committed
        self._buffer = []
        self._next = 0


# Which of the inputs that have a record goes on, and up to which sequence number.
Pick = Callable[[list[Input]], tuple[Input, int]]


def earliest(live: list[Input]) -> tuple[Input, int]:
    """The input whose head was appended first, until another's head was."""
    if len(live) == 1:
        return live[0], NO_BOUND
    first, second = sorted(live, key=lambda input_: input_.head.sequence)[:2]
    return first, second.head.sequence


class Task(FoldTask):
    """Takes part in transactions with its positions; its folds take part with their states."""

    def __init__(
        self, topology: Topology, index: int, log: PartitionedLog, metrics: Metrics, at: At
    ) -> None:
        self._store = log.store
        folds = {
            fold.name: StoredFold(fold, topology.name, index, self._store, metrics)
            for fold in topology.folds
        }
        super().__init__(topology, index, folds)
        self._metrics = metrics
        self._at = at
        self._step = self._store.number_of("topology", topology.name)
        self.inputs = self._opened_inputs(log)
        self._timers_out = log.partitions[TIMERS.name][index]
        # When ends were sampled, and the end of each input then; None while no timer is due.
        self._sample: tuple[int, list[int]] | None = None
        # Why the task does not go on; looked at again at that time.
        self.stopped: str | None = None
        self.retry_at_ms = 0

    def _opened_inputs(self, log: PartitionedLog) -> list[Input]:
        inputs = []
        stored = self._store.connection.execute(
            "SELECT topic, next FROM positions WHERE step = ? AND partition = ?",
            (self._step, self.index),
        )
        positions = dict(stored.fetchall())
        for topic in inputs_of(self.topology):
            several = log.partitions[topic.name]
            if self.index >= len(several):
                continue
            partition = several[self.index]
            position = positions.get(partition.number, 0)
            inputs.append(Input(partition, position, self.readers_of(topic)))
            partition.readers.append(self)
        return inputs

    def fold(self, tx: Transaction, limit: int, pick: Pick = earliest) -> int:
        """Folds records until the inputs run dry or the limit is reached; how many."""
        done = 0
        while done < limit and self.stopped is None:
            live = [input_ for input_ in self.inputs if input_.fill(self._store)]
            if not live:
                break
            if not done:
                tx.join(self)
            input_, bound = pick(live)
            done += self._run(tx, input_, bound, limit - done)
        return done

    def _run(self, tx: Transaction, input_: Input, bound: int, limit: int) -> int:
        """Folds one input's records below the bound."""
        first, done = input_.head.offset, 0
        name = input_.partition.topic.name
        last = first - 1
        while done < limit and input_.fill(self._store) and input_.head.sequence < bound:
            record = input_.head
            try:
                self.hand_out(tx, record, input_.folds)
            except UnknownFingerprint as unknown:
                self._wait_for_build(tx, record, str(unknown))
                break
            last = record.offset
            input_.advance()
            done += 1
        if done:
            self.journal.folded(name, first, last)
        return done

    def fold_late(self, tx: Transaction, record: StoredRecord) -> None:
        """Folds a record that was passed over as a dead letter. Raises UnknownFingerprint."""
        for input_ in self.inputs:
            if input_.partition is record.partition:
                self.hand_out(tx, record, input_.folds)

    def _wait_for_build(self, tx: Transaction, record: StoredRecord, reason: str) -> None:
        """A record from the future stops the task, which keeps its order, and says so."""
        where = record.partition
        self.stopped = f"{where.topic.name} {where.index} {record.offset}: {reason}"
        self.retry_at_ms = tx.now_ms + 10_000
        self._metrics.put(
            "millrace_stopped", 1, topology=self.topology.name, partition=str(self.index)
        )

    def retry(self, tx: Transaction) -> None:
        """Looks again at the record that stopped the task."""
        self.stopped = None
        self._metrics.put(
            "millrace_stopped", 0, topology=self.topology.name, partition=str(self.index)
        )
        tx.log.ready[self] = None

    def fire(self, tx: Transaction) -> int:
        """Folds the timers that are due, once all inputs were read that were there then."""
        if self._sample is None:
            if not self.is_due(tx.now_ms):
                return 0
            self._sample = (tx.now_ms, [input_.partition.end for input_ in self.inputs])
        sampled_ms, ends = self._sample
        if any(input_.position < end for input_, end in zip(self.inputs, ends, strict=True)):
            return 0
        self._sample = None
        due = self.due(tx, sampled_ms)
        for one in due:
            tx.join(self)
            record = self.announce(tx, one, self._timers_out)
            self.expire(tx, one, record)
            self._at(points.TIMER_FOLDED)
        return len(due)

    @property
    def next_due_ms(self) -> int | None:
        """When the task wants to be looked at, though nothing may have been appended."""
        if self.stopped is not None:
            return self.retry_at_ms
        return self.next_timer_ms

    @property
    def lag(self) -> int:
        """Records of the inputs that are not folded yet."""
        return sum(input_.partition.committed - input_.committed for input_ in self.inputs)

    def write(self, connection: Connection) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)",
            [
                (self._step, input_.partition.number, self.index, input_.position)
                for input_ in self.inputs
                if input_.position != input_.committed
            ],
        )

    def commit(self) -> None:
        for input_ in self.inputs:
            input_.committed = input_.position

    def rollback(self) -> None:
        for input_ in self.inputs:
            input_.rollback()
        self.journal.forget()
        self._sample = None
