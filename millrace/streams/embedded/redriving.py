"""Reads `redrives`: an operator asks, on the log, that a dead letter be tried again.

It must never skip what queued before: a parked key folds its whole queue, in order.
"""

from millrace.schemas.codec import BadRecord
from millrace.schemas.events import RedriveRequested
from millrace.schemas.topics import REDRIVES
from millrace.streams.embedded.board import Board
from millrace.streams.embedded.positions import Positions
from millrace.streams.embedded.records import Partition, Record
from millrace.streams.embedded.store import Connection
from millrace.streams.embedded.tasks import Task
from millrace.streams.embedded.transaction import PartitionedLog, Transaction

READ_MAX = 1000


class Redriver:
    """Folds, requests and projections again, as `redrives` says."""

    def __init__(
        self, log: PartitionedLog, tasks: list[Task], board: Board, positions: Positions
    ) -> None:
        self._log = log
        self._board = board
        self._positions = positions
        self._tasks = {(task.topology.name, task.index): task for task in tasks}
        self._step = log.store.number_of("step", "redrives")
        self._next = {
            partition: positions.stored(self._step, partition)
            for partition in log.partitions[REDRIVES.name]
        }
        self._committed = dict(self._next)
        # Records for projections of that name; whoever runs these takes them after the commit.
        self.reproject: list[tuple[str, Record]] = []

    @property
    def has_work(self) -> bool:
        return any(position < partition.end for partition, position in self._next.items())

    def run(self, tx: Transaction) -> None:
        """Takes every redrive that is on the log."""
        for partition, position in self._next.items():
            end = partition.end
            if position >= end:
                continue
            for record in partition.read(self._log.store.connection, position, end, READ_MAX):
                position = record.offset + 1
                self._one(tx, record)
            self._next[partition] = position
            self._positions.put(tx, self._step, partition, position)
            tx.join(self)

    def _one(self, tx: Transaction, record: Record) -> None:
        try:
            wanted = record.recorded.event
        except BadRecord:
            # Appended by the gateway alone; what another program wrote here asks for nothing.
            return
        if not isinstance(wanted, RedriveRequested):
            return
        partition = self._partition_of(wanted)
        if partition is None or not 0 <= wanted.offset < partition.end:
            return
        task = self._tasks.get((wanted.topology, partition.index))
        if task is not None and wanted.step in task.folds:
            self._fold_again(tx, task, wanted, record, partition)
            return
        letter = tx.log.at(partition.base | wanted.offset)
        if not self._board.redrive(wanted.step, letter):
            self.reproject.append((wanted.step, letter))

    def _partition_of(self, wanted: RedriveRequested) -> Partition | None:
        several = self._log.partitions.get(wanted.topic, [])
        return several[wanted.partition] if 0 <= wanted.partition < len(several) else None

    def _fold_again(
        self,
        tx: Transaction,
        task: Task,
        wanted: RedriveRequested,
        record: Record,
        partition: Partition,
    ) -> None:
        """A parked key goes on; a record that could not be read is read again.

        A letter of kind `work` belongs to the fold that wrote it, which reads `redrives` itself.
        """
        if wanted.kind == "parked":
            task.folds[wanted.step].redrive(tx, wanted.key, record)
        elif wanted.kind == "record":
            task.fold_late(tx, tx.log.at(partition.base | wanted.offset))
        else:
            return
        tx.join(task)
        task.journal.folded(REDRIVES.name, record.offset, record.offset)

    def write(self, connection: Connection) -> None:
        """The positions write themselves."""

    def commit(self) -> None:
        self._committed = dict(self._next)

    def rollback(self) -> None:
        self._next = dict(self._committed)
        self.reproject.clear()
