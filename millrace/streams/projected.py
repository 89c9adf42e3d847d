"""A projection's records as rows, and rows into their table, whichever engine reads the records.

A row bears the place that its record came from, so any order of writes ends in the same table. A
row of the wrong shape must never hold up the rows beside it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from millrace.schemas.envelope import Recorded
from millrace.sinks.ports import Row, Tables, Version
from millrace.sinks.tables import version_of_first
from millrace.streams.declarations import Project
from millrace.streams.folding.keyed import reason_of
from millrace.streams.folding.records import Record

# Records that become rows of one call of the tables.
ROWS_MAX = 500
# The generation of every topic so far: partition counts never changed.
GENERATION = 0

# A record, as whoever hands it in wants it back.
R = TypeVar("R")


def rows_of(project: Project, record: Record) -> list[Row]:
    """The rows with their version. Raises what the projection raises; BadRecord."""
    return versioned(project, record.recorded)


def versioned(project: Project, recorded: Recorded[Any]) -> list[Row]:
    """The rows with their version. Raises what the projection raises."""
    offset = recorded.offset
    version = version_of_first(offset) if project.first_counts else Version(GENERATION, offset)
    rows: Any = project.rows(recorded)
    return [replace(row, version=version, at_ms=recorded.at_ms) for row in rows]


def write_rows(
    tables: Tables,
    project: Project,
    batch: Sequence[tuple[R, list[Row]]],
    refuse: Callable[[R, str], None],
) -> None:
    """Upserts all rows; where one has the wrong shape, its record alone is refused.

    Raises StoreBusy.
    """
    rows = [row for _, several in batch for row in several]
    if not rows:
        return
    try:
        tables.upsert(project.table, rows)
    except ValueError:
        _write_each(tables, project, batch, refuse)


def _write_each(
    tables: Tables,
    project: Project,
    batch: Sequence[tuple[R, list[Row]]],
    refuse: Callable[[R, str], None],
) -> None:
    """Upserts record by record, so that only what has the wrong shape is refused."""
    for record, own in batch:
        try:
            if own:
                tables.upsert(project.table, own)
        except ValueError as bug:
            refuse(record, reason_of(bug))
