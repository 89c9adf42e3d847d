"""Makes projections again from the log, in a fresh space, and compares them row for row (RPL-1).

The live rows go on moving meanwhile; a row is only called different when it still is after the
fresh space has read on to a later end of the log. Nothing live is changed.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.sinks.ports import Log, Row, Table, Tables
from millrace.streams.declarations import Project, Topology

PAGE = 1_000
ROUNDS_MAX = 8
DIFFERENCES_MAX = 100


@dataclass(slots=True)
class Fresh:
    """A projection made again: rows so far and the last offset read of each partition."""

    project: Project
    tables: Tables
    positions: dict[int, int] = field(default_factory=dict)

    async def read_on(self, log: Log, partitions: int) -> None:
        """Reads every partition to its end as it is now."""
        for partition in range(partitions):
            while records := await log.read(
                self.project.reads.name, partition, self.positions.get(partition, -1), PAGE
            ):
                await asyncio.to_thread(self.write, records)
                self.positions[partition] = records[-1].offset

    def write(self, records: tuple[Recorded[Event], ...]) -> None:
        rows = [row for record in records for row in self.project.rows(record)]
        self.tables.upsert(self.project.table, rows)


def projects_of(topologies: tuple[Topology, ...], name: str) -> list[Project]:
    """The projections meant: one by its own or its table's name, or `all`. Raises KeyError."""
    known = [project for topology in topologies for project in topology.projects]
    found = [p for p in known if name in ("all", p.name, p.table.name)]
    if not found:
        raise KeyError(name)
    return found


async def rebuild(
    projects: list[Project],
    log: Log,
    live: Tables,
    fresh_tables: Callable[[], Tables],
    partitions: int,
) -> Mapping[str, Any]:
    """The report: `tables` with their rows, and `differences`, each with table, key and both rows.

    Each table is made by one projection, so their rows can be compared one table at a time.
    """
    tables, differences = [], []
    for project in projects:
        space = fresh_tables()
        space.create([project.table])
        fresh = Fresh(project, space)
        found = await compared(fresh, log, live, partitions)
        rows = await asyncio.to_thread(counted, space, project.table)
        tables.append({"table": project.table.name, "rows": rows, "different": len(found)})
        differences += found
    return {"tables": tables, "differences": differences[:DIFFERENCES_MAX]}


def counted(tables: Tables, table: Table) -> int:
    return sum(1 for _ in tables.scan(table))


async def compared(fresh: Fresh, log: Log, live: Tables, partitions: int) -> list[dict[str, Any]]:
    """Differences that stay when the live rows have had time to follow."""
    before: list[dict[str, Any]] | None = None
    for _ in range(ROUNDS_MAX):
        await fresh.read_on(log, partitions)
        found = await asyncio.to_thread(differing, fresh.project.table, fresh.tables, live)
        if not found or found == before:
            return found
        before = found
    return before or []


def differing(table: Table, fresh: Tables, live: Tables) -> list[dict[str, Any]]:
    wanted = {key_of(table, row): row for row in fresh.scan(table)}
    found = []
    for row in live.scan(table):
        made = wanted.pop(key_of(table, row), None)
        if made is None or facts(made) != facts(row):
            found.append(difference(table, made, row))
    found += [difference(table, made, None) for made in wanted.values()]
    return found


def key_of(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row.values[column.name] for column in (*table.partition, *table.clustering))


def facts(row: Row) -> tuple[Any, ...]:
    """What must be equal: of a deleted row, only that it is deleted, and by which record."""
    return (row.deleted, row.version, None if row.deleted else dict(row.values))


def difference(table: Table, made: Row | None, live: Row | None) -> dict[str, Any]:
    row = made or live
    assert row is not None
    return {
        "table": table.name,
        "key": [str(part) for part in key_of(table, row)],
        "from_log": printable(made),
        "live": printable(live),
    }


def printable(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    values = {name: str(value)[:200] for name, value in row.values.items()}
    return {"version": list(row.version), "deleted": row.deleted, "values": values}
