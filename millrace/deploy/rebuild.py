"""Makes projections again from the log, in a fresh space, and compares them row for row (RPL-1).

The live rows go on moving meanwhile; a row is only called different when it still is after the
live projections have caught up and the fresh space has read on to a later end of the log. A record
that the projection can't take is passed over, as the live one does. Nothing live is changed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from millrace.deploy.log_pages import pages
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.sinks.ports import Log, Row, Table, Tables
from millrace.streams.declarations import Project, Topology
from millrace.streams.projected import versioned

# Whether the live projection has taken the records up to these offsets, by partition.
CaughtUp = Callable[[Project, Mapping[int, int]], Awaitable[bool]]

ROUNDS_MAX = 8
# How long a round waits for the live projections, and how often it looks.
CATCH_UP_S = 10.0
LOOK_S = 0.02
DIFFERENCES_MAX = 100


@dataclass(slots=True)
class Fresh:
    """A projection made again: rows so far and the last offset read of each partition."""

    project: Project
    tables: Tables
    positions: dict[int, int] = field(default_factory=dict)
    passed_over: int = 0

    async def read_on(self, log: Log, partitions: int) -> None:
        """Reads every partition to its end as it is now."""
        for partition in range(partitions):
            after = self.positions.get(partition, -1)
            async for records in pages(log, self.project.reads.name, partition, after):
                await asyncio.to_thread(self.write, records)
                self.positions[partition] = records[-1].offset

    def write(self, records: tuple[Recorded[Event], ...]) -> None:
        made = [self.rows_of(record) for record in records]
        try:
            self.tables.upsert(self.project.table, [row for rows in made for row in rows])
        except ValueError:
            for rows in made:
                self.write_alone(rows)

    def rows_of(self, record: Recorded[Event]) -> list[Row]:
        try:
            return versioned(self.project, record)
        except Exception:  # noqa: BLE001 - the live projection has told it by a dead letter
            self.passed_over += 1
            return []

    def write_alone(self, rows: list[Row]) -> None:
        try:
            self.tables.upsert(self.project.table, rows)
        except ValueError:
            # Rows of the wrong shape: the live ones are a dead letter too.
            self.passed_over += 1


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
    caught_up: CaughtUp,
) -> Mapping[str, Any]:
    """The report: `tables` with their rows, and `differences`, each with table, key and both rows.

    Each table is made by one projection, so their rows can be compared one table at a time, and
    the space of each is forgotten before the next one's is made.
    """
    every = (Fresh(project, fresh_tables()) for project in projects)
    return await refilled(every, log, live, partitions, caught_up)


async def refilled(
    every: Iterable[Fresh], log: Log, live: Tables, partitions: int, caught_up: CaughtUp
) -> Mapping[str, Any]:
    """As rebuild, into the spaces that are given."""
    tables, differences = [], []
    for fresh in every:
        project, space = fresh.project, fresh.tables
        await asyncio.to_thread(space.create, [project.table])
        found = await compared(fresh, log, live, partitions, caught_up)
        rows = await asyncio.to_thread(counted, space, project.table)
        told = {"rows": rows, "different": len(found), "passed_over": fresh.passed_over}
        tables.append({"table": project.table.name, **told})
        differences += found
    return {"tables": tables, "differences": differences[:DIFFERENCES_MAX]}


def counted(tables: Tables, table: Table) -> int:
    return sum(1 for _ in tables.scan(table))


async def compared(
    fresh: Fresh, log: Log, live: Tables, partitions: int, caught_up: CaughtUp
) -> list[dict[str, Any]]:
    """Differences that stay when the live rows have had time to follow."""
    before: list[dict[str, Any]] | None = None
    for _ in range(ROUNDS_MAX):
        await fresh.read_on(log, partitions)
        found = await asyncio.to_thread(differing, fresh.project.table, fresh.tables, live)
        if not found or found == before:
            return found
        before = found
        await catch_up(fresh, caught_up)
    return before or []


async def catch_up(fresh: Fresh, caught_up: CaughtUp) -> None:
    """Returns when the live projection has caught up, or can't within CATCH_UP_S."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + CATCH_UP_S
    while loop.time() < end_s:
        if await caught_up(fresh.project, fresh.positions):
            return
        await asyncio.sleep(LOOK_S)


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
