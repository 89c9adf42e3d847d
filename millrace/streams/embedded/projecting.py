"""Projections: committed records become rows, which bear the place that they came from.

At least once, and idempotent by version: rows are durable in the tables before the position moves,
and an older version never overwrites a newer one. A projection must never hold up a fold.
"""

from collections import deque
from collections.abc import Callable, Iterable

from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.sinks.ports import Row, Tables
from millrace.streams import points
from millrace.streams.declarations import Project, Topology
from millrace.streams.embedded.partitions import Partition, StoredRecord
from millrace.streams.embedded.positions import Positions
from millrace.streams.embedded.redriven import Redriven
from millrace.streams.embedded.store import Connection
from millrace.streams.embedded.submissions import (
    Lettered,
    Projected,
    Reprojected,
    Submission,
)
from millrace.streams.embedded.transaction import PartitionedLog
from millrace.streams.folding.keyed import reason_of
from millrace.streams.metrics import Metrics
from millrace.streams.points import At
from millrace.streams.projected import ROWS_MAX, rows_of, write_rows

Submit = Callable[[Submission], None]


class Cursor:
    """One projection over one partition of its topic."""

    def __init__(
        self, project: Project, topology: str, step: int, partition: Partition, position: int
    ) -> None:
        self.project = project
        self.topology = topology
        self.step = step
        self.partition = partition
        self.position = position
        # Whether the record at the position is one that only a newer build can read.
        self.stopped = False


class Projector:
    """All projections; calls are of one thread, which may be another than the engine's."""

    def __init__(
        self,
        topologies: tuple[Topology, ...],
        log: PartitionedLog,
        tables: Tables,
        submit: Submit,
        metrics: Metrics,
        at: At,
    ) -> None:
        self._tables = tables
        self._submit = submit
        self._metrics = metrics
        self._at = at
        self._cursors: list[Cursor] = []
        positions = Positions(log.store)
        # Records that an operator redrives, and the name of the projection.
        self._again: deque[tuple[str, StoredRecord]] = deque()
        redriven = Redriven(log.store)
        tables.create([project.table for t in topologies for project in t.projects])
        for topology in topologies:
            for project in topology.projects:
                step = log.store.number_of("step", f"{topology.name}/{project.name}")
                again = (log.find(place) for place in redriven.of(step))
                self._again += [(project.name, record) for record in again if record is not None]
                for partition in log.partitions[project.reads.name]:
                    position = positions.stored(step, partition)
                    cursor = Cursor(project, topology.name, step, partition, position)
                    self._cursors.append(cursor)

    def run(self, connection: Connection) -> bool:
        """Projects one batch of each partition that has news; whether there were any.

        StoreBusy: nothing of the batch counts; call again later.
        """
        moved = self.has_redrives
        while self._again:
            self._redrive(*self._again[0])
            self._again.popleft()
        for cursor in self._cursors:
            if cursor.position < cursor.partition.committed:
                moved = self._advance(cursor, connection) or moved
        return moved

    def _advance(self, cursor: Cursor, connection: Connection) -> bool:
        partition, end = cursor.partition, cursor.partition.committed
        records = partition.read(connection, cursor.position, end, ROWS_MAX)
        batch: list[tuple[StoredRecord, list[Row]]] = []
        found: list[Row] | None = []
        position = cursor.position if records else end
        for record in records:
            found = self._rows(cursor, record)
            if found is None:
                break
            batch.append((record, found))
            position = record.offset + 1
        if position == cursor.position:
            return False
        self._write(cursor, batch)
        self._at(points.ROWS_WRITTEN)
        cursor.position = position
        if found is not None and cursor.stopped:
            self._stopped(cursor, 0)
        self._submit(Projected(cursor.step, partition, position))
        return True

    def _stopped(self, cursor: Cursor, stopped: int) -> None:
        cursor.stopped = bool(stopped)
        step, partition = cursor.project.name, str(cursor.partition.index)
        self._metrics.put("millrace_projection_stopped", stopped, step=step, partition=partition)

    def _rows(self, cursor: Cursor, record: StoredRecord) -> list[Row] | None:
        """The record's rows, none where it is a dead letter, None where it has to wait."""
        project = cursor.project
        try:
            return rows_of(project, record)
        except UnknownFingerprint:
            self._stopped(cursor, 1)
            return None
        except BadRecord as bad:
            self._letter(cursor, "record", record, str(bad))
        except Exception as bug:  # noqa: BLE001 - a bug of the projection, told by a dead letter
            self._letter(cursor, "parked", record, reason_of(bug))
        return []

    def _write(self, cursor: Cursor, batch: list[tuple[StoredRecord, list[Row]]]) -> None:
        def refuse(record: StoredRecord, reason: str) -> None:
            self._letter(cursor, "parked", record, reason)

        write_rows(self._tables, cursor.project, batch, refuse)

    def _letter(self, cursor: Cursor, kind: str, record: StoredRecord, reason: str) -> None:
        step = cursor.project.name
        self._submit(Lettered(kind, cursor.topology, step, record, reason))

    def redrive(self, again: Iterable[tuple[str, StoredRecord]]) -> None:
        """Records for projections of that name, for the next run; any thread."""
        self._again.extend(again)

    @property
    def has_redrives(self) -> bool:
        return bool(self._again)

    def _redrive(self, step: str, record: StoredRecord) -> None:
        for cursor in self._cursors:
            if cursor.project.name == step and cursor.partition is record.partition:
                rows = self._rows(cursor, record)
                if rows:
                    self._write(cursor, [(record, rows)])
                self._submit(Reprojected(cursor.step, record.place))

    @property
    def lag(self) -> int:
        """Committed records that are not rows yet."""
        return sum(max(0, c.partition.committed - c.position) for c in self._cursors)
