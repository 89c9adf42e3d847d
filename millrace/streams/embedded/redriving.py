"""Reads `redrives`: an operator asks, on the log, that a dead letter be tried again.

It must never skip what queued before: a parked key folds its whole queue, in order. What cannot be
redriven is a dead letter, and never stops the engine: the request stays on the log for ever.
"""

from typing import NamedTuple

from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.schemas.events import RedriveRequested
from millrace.schemas.topics import REDRIVES
from millrace.streams.declarations import Topology
from millrace.streams.embedded.board import Board
from millrace.streams.embedded.partitions import Partition, StoredRecord
from millrace.streams.embedded.positions import Positions
from millrace.streams.embedded.redriven import Redriven
from millrace.streams.embedded.store import Connection, Store
from millrace.streams.embedded.tasks import Task
from millrace.streams.embedded.transaction import PartitionedLog, Transaction
from millrace.streams.folding.letters import append_letter

READ_MAX = 1000


class Step(NamedTuple):
    """A work or a projection: its number, and the topics that it reads."""

    number: int
    topics: frozenset[str]


# By the names of topology and step.
Steps = dict[tuple[str, str], Step]


def steps_of(topologies: tuple[Topology, ...], store: Store) -> Steps:
    """All works and projections; called before the first transaction."""
    found: Steps = {}
    for topology in topologies:
        reads = {work.name: work.lanes for work in topology.works}
        reads |= {project.name: (project.reads,) for project in topology.projects}
        for name, topics in reads.items():
            number = store.number_of("step", f"{topology.name}/{name}")
            found[topology.name, name] = Step(number, frozenset(t.name for t in topics))
    return found


class Redriver:
    """Folds, requests and projections again, as `redrives` says."""

    def __init__(
        self,
        log: PartitionedLog,
        tasks: list[Task],
        steps: Steps,
        board: Board,
        redriven: Redriven,
        positions: Positions,
    ) -> None:
        self._log = log
        self._steps = steps
        self._board = board
        self._redriven = redriven
        self._positions = positions
        self._tasks = {(task.topology.name, task.index): task for task in tasks}
        self._step = log.store.number_of("step", "redrives")
        self._next = {
            partition: positions.stored(self._step, partition)
            for partition in log.partitions[REDRIVES.name]
        }
        self._committed = dict(self._next)
        # Records for projections of that name; whoever runs these takes them after the commit.
        self.reproject: list[tuple[str, StoredRecord]] = []
        # Requests and records for projections, of the transaction under way.
        self._again: list[tuple[str, StoredRecord]] = []

    @property
    def has_work(self) -> bool:
        return any(position < partition.end for partition, position in self._next.items())

    def run(self, tx: Transaction) -> None:
        """Takes every redrive that is on the log."""
        for partition, position in self._next.items():
            end = partition.end
            if position >= end:
                continue
            tx.join(self)
            for record in partition.read(self._log.store.connection, position, end, READ_MAX):
                position = record.offset + 1
                self._one(tx, record)
            self._next[partition] = position
            self._positions.put(tx, self._step, partition, position)

    def _one(self, tx: Transaction, record: StoredRecord) -> None:
        try:
            wanted = record.recorded.event
        except (BadRecord, UnknownFingerprint) as bad:
            append_letter(tx, "record", "", "redrives", record, str(bad))
            return
        # Attempts that are used up come again with a retry of the video, which the fold decides.
        if not isinstance(wanted, RedriveRequested) or wanted.kind == "work":
            return
        reason = self._redrive(tx, wanted, record)
        if reason:
            step = wanted.step
            append_letter(tx, "record", wanted.topology, step, record, reason, wanted.key)

    def _redrive(self, tx: Transaction, wanted: RedriveRequested, record: StoredRecord) -> str:
        """Why it cannot be redriven; empty where it is."""
        partition = self._partition_of(wanted)
        if partition is None or not 0 <= wanted.offset < partition.end:
            return "there is no such place on the log"
        task = self._tasks.get((wanted.topology, partition.index))
        if task is not None and wanted.step in task.folds and wanted.kind == "parked":
            # A record that was parked is in its key's queue.
            task.folds[wanted.step].redrive(tx, wanted.key, record)
            self._folded(tx, task, record)
            return ""
        letter = tx.log.find(partition.base | wanted.offset)
        if letter is None:
            return "the record was compacted away: a newer one of its key took its place"
        if not letter.is_readable:
            return "this build cannot read the record either"
        if task is not None and wanted.step in task.folds:
            task.fold_late(tx, letter)
            self._folded(tx, task, record)
            return ""
        step = self._steps.get((wanted.topology, wanted.step))
        if step is None or wanted.topic not in step.topics:
            return "there is no such step"
        if self._redriven.add(tx, step.number, letter.place):
            self._again.append((wanted.step, letter))
        return ""

    def _folded(self, tx: Transaction, task: Task, record: StoredRecord) -> None:
        tx.join(task)
        task.journal.folded(REDRIVES.name, record.offset, record.offset)

    def _partition_of(self, wanted: RedriveRequested) -> Partition | None:
        several = self._log.partitions.get(wanted.topic, [])
        return several[wanted.partition] if 0 <= wanted.partition < len(several) else None

    def write(self, connection: Connection) -> None:
        """The positions write themselves."""

    def commit(self) -> None:
        self._committed = dict(self._next)
        for step, record in self._again:
            if not self._board.again(step, record):
                self.reproject.append((step, record))
        self._again.clear()

    def rollback(self) -> None:
        self._next = dict(self._committed)
        self._again.clear()
