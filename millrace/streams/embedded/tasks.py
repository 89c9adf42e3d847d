"""The folds of one topology over one partition of each of its inputs.

A task reads its inputs, hands each record to every fold that reads its topic, in declared order,
and keeps one position an input for all of them. Timers are folded here, because only a task knows
whether everything that came before them was read: a timer never overtakes the log.
"""

from collections.abc import Callable

from millrace.processors.emit import Deadline
from millrace.schemas import codec, ids
from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.schemas.events import DeadlinePassed
from millrace.schemas.topics import TIMERS, Topic
from millrace.streams import points
from millrace.streams.declarations import Topology
from millrace.streams.embedded.store import Connection, Store
from millrace.streams.embedded.transaction import PartitionedLog, Transaction
from millrace.streams.folding.journal import Journal
from millrace.streams.folding.keyed import KeyedFold
from millrace.streams.folding.letters import append_letter
from millrace.streams.folding.records import Partition, Record
from millrace.streams.metrics import Metrics
from millrace.streams.points import At

# Records read from the file at once; from memory they come without reading.
READ_MAX = 512
TIMERS_MAX = 1000
NO_BOUND = 1 << 62


class Input:
    """One partition that a task reads, and how far it is."""

    def __init__(self, partition: Partition, position: int, folds: tuple[KeyedFold, ...]) -> None:
        self.partition = partition
        self.folds = folds
        self.position = self.committed = position
        self._buffer: list[Record] = []
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
    def head(self) -> Record:
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


class Task:
    """Takes part in transactions with its positions; its folds take part with their states."""

    def __init__(
        self, topology: Topology, index: int, log: PartitionedLog, metrics: Metrics, at: At
    ) -> None:
        self.topology = topology
        self.index = index
        self._store = log.store
        self._metrics = metrics
        self._at = at
        self._step = self._store.number_of("topology", topology.name)
        self.folds = {
            fold.name: KeyedFold(fold, topology.name, index, self._store, metrics)
            for fold in topology.folds
        }
        self.journal = Journal(topology, index)
        self.inputs = self._opened_inputs(log)
        self._timers_out = log.partitions[TIMERS.name][index]
        # When ends were sampled, and the end of each input then; None while no timer is due.
        self._sample: tuple[int, list[int]] | None = None
        # Why the task does not go on; looked at again at that time.
        self.stopped: str | None = None
        self.retry_at_ms = 0
        self.transitions = 0

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
            folds = tuple(k for k in self.folds.values() if topic in k.fold.reads)
            inputs.append(Input(partition, positions.get(partition.number, 0), folds))
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
                self._hand_out(tx, record, input_.folds)
            except UnknownFingerprint as unknown:
                self._wait_for_build(tx, record, str(unknown))
                break
            last = record.offset
            input_.advance()
            done += 1
        if done:
            self.journal.folded(name, first, last)
        return done

    def _hand_out(self, tx: Transaction, record: Record, folds: tuple[KeyedFold, ...]) -> None:
        """Gives the record to the folds. Raises UnknownFingerprint before any of them saw it."""
        try:
            recorded = record.recorded
        except BadRecord as bad:
            step = folds[0].fold.name
            append_letter(tx, "record", self.topology.name, step, record, str(bad))
            return
        for fold in folds:
            self.transitions += fold.take(tx, record, recorded)

    def fold_late(self, tx: Transaction, record: Record) -> None:
        """Folds a record that was passed over as a dead letter. Raises UnknownFingerprint."""
        for input_ in self.inputs:
            if input_.partition is record.partition:
                self._hand_out(tx, record, input_.folds)

    def _wait_for_build(self, tx: Transaction, record: Record, reason: str) -> None:
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
            if not any(self._is_due(fold, tx.now_ms) for fold in self.folds.values()):
                return 0
            self._sample = (tx.now_ms, [input_.partition.end for input_ in self.inputs])
        sampled_ms, ends = self._sample
        if any(input_.position < end for input_, end in zip(self.inputs, ends, strict=True)):
            return 0
        self._sample = None
        due = [
            (at_ms, order, key, fold)
            for order, fold in enumerate(self.folds.values())
            for at_ms, key in self._taken(tx, fold, sampled_ms)
        ]
        due.sort(key=lambda entry: entry[:3])
        return sum(self._fire_one(tx, fold, sampled_ms, key) for _, _, key, fold in due)

    def _is_due(self, fold: KeyedFold, now_ms: int) -> bool:
        next_ms = fold.timers.next_ms
        return next_ms is not None and next_ms <= now_ms

    def _taken(self, tx: Transaction, fold: KeyedFold, until_ms: int) -> list[tuple[int, bytes]]:
        tx.join(fold)
        return fold.timers.take(until_ms, TIMERS_MAX)

    def _fire_one(self, tx: Transaction, fold: KeyedFold, until_ms: int, key: bytes) -> int:
        """Folds the key's deadline, if it has one that is due and is not parked."""
        held = fold.current(key)
        deadline = held.deadline if held is not None else None
        if deadline is None or key in fold.parking.queues:
            return 0
        if deadline.at_ms > until_ms:
            fold.timers.add(deadline.at_ms, key)
            return 0
        tx.join(self)
        record = self._append_timer(tx, fold.fold.name, key, deadline)
        fold.transition(tx, record, record.recorded, 0, deadline)
        self.journal.folded(TIMERS.name, record.offset, record.offset)
        self._at(points.TIMER_FOLDED)
        return 1

    def _append_timer(self, tx: Transaction, step: str, key: bytes, deadline: Deadline) -> Record:
        """Timers stand in the task's own partition, whatever the key, so that it may replay."""
        topology = self.topology.name
        event = DeadlinePassed(topology, step, key, deadline.name, deadline.at_ms)
        where = (topology, step, key.hex(), deadline.name, str(deadline.at_ms))
        id_ = ids.derive("timer", *where)
        value = codec.encode(event)
        return tx.put(self._timers_out, key, value, event, id_, deadline.at_ms)

    @property
    def next_due_ms(self) -> int | None:
        """When the task wants to be looked at, though nothing may have been appended."""
        if self.stopped is not None:
            return self.retry_at_ms
        times = [fold.timers.next_ms for fold in self.folds.values()]
        return min((time for time in times if time is not None), default=None)

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


def inputs_of(topology: Topology) -> tuple[Topic, ...]:
    """Every topic that a fold of the topology reads, once, in declared order."""
    seen: dict[str, Topic] = {}
    for fold in topology.folds:
        for topic in fold.reads:
            seen.setdefault(topic.name, topic)
    return tuple(seen.values())
