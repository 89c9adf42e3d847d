"""Tables on Cassandra: the same rows as SQLite's, for more than one machine.

It must never let an older version replace a newer one, whatever the order of the writes, nor write
a row where no reader will look, while the tables move to another keyspace.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from cassandra import InvalidRequest

from millrace.sinks import cassandra_rows as cql
from millrace.sinks.cassandra_session import CassandraSession
from millrace.sinks.ports import Key, Page, Row, Table, Version
from millrace.sinks.table_rows import (
    can_be_written,
    check_page,
    digest_of,
    key_columns,
    stored_key,
)

# A scan holds so many partitions' first rows at once; a row has 4 MiB at most, and 2 kB mostly.
SCAN_PARTITIONS = 16
SCAN_ROWS = 100
# Where a page finds little but deleted rows, it reads on in growing steps up to this one.
STRETCH_ROWS = 400


class Space(Protocol):
    """Says in which keyspace the tables are."""

    def name(self) -> str:
        """The keyspace as it was a moment ago; quick. Raises StoreBusy."""
        ...

    def confirmed(self) -> str:
        """The keyspace as it is after this call began. Raises StoreBusy."""
        ...


class FixedSpace:
    """One keyspace, whatever the others read: what a rebuild fills."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name

    def confirmed(self) -> str:
        return self._name


class CassandraTables:
    """`Tables` in the keyspace that `space` says, which must exist.

    now_ms is the clock, in milliseconds of the epoch; only tables with a ttl look at it.
    """

    def __init__(self, session: CassandraSession, space: Space, now_ms: Callable[[], int]) -> None:
        self._session = session
        self._space = space
        self._now_ms = now_ms

    def create(self, tables: Iterable[Table]) -> None:
        """See `Tables`. One process at a time makes tables that are missing: see `migrate`."""
        wanted = {table.name: (table, cql.shape(table)) for table in tables}
        space = self._space.confirmed()
        there = self._session.run(
            "SELECT table_name, comment FROM system_schema.tables WHERE keyspace_name = ?",
            (space,),
        )
        for name, comment in there:
            if name in wanted and wanted.pop(name)[1] != comment:
                raise ValueError(f"table {name} stands there in another shape")
        for table, _ in wanted.values():
            self._session.define(cql.create_table(space, table))

    def upsert(self, table: Table, rows: Iterable[Row]) -> None:
        now_ms = self._now_ms()
        newest: dict[tuple[Any, ...], tuple[Version, tuple[Any, ...]]] = {}
        for row in rows:
            values = cql.inserted(table, row, now_ms)
            key = values[: len(key_columns(table))]
            if key not in newest or row.version > newest[key][0]:
                newest[key] = row.version, values
        if newest:
            self._write(table, [values for _, values in newest.values()])

    def _write(self, table: Table, many: list[tuple[Any, ...]]) -> None:
        """Returns when the rows are in the keyspace that was the active one afterwards.

        So whoever switches to another keyspace finds everything that was acknowledged before on
        the log, where its position moves on only after this.
        """
        space = self._space.name()
        while True:
            gone: InvalidRequest | None = None
            try:
                self._session.run_each(cql.insert(space, table), many)
            except InvalidRequest as problem:
                gone = problem
            active = self._space.confirmed()
            if active == space:
                if gone is not None:
                    raise gone
                return
            space = active

    def get(self, table: Table, partition: Key, clustering: Key = ()) -> Row | None:
        key = stored_key(table.partition, partition) + stored_key(table.clustering, clustering)
        if not can_be_written(table, key):
            return None
        found = self._read(lambda space: cql.select(space, table), key)
        return next(self._live(table, (cql.decoded(table, key, cell) for (cell,) in found)), None)

    def page(
        self,
        table: Table,
        partition: Key,
        *,
        after: Key | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> Page:
        check_page(table, limit)
        key = stored_key(table.partition, partition)
        place = None if after is None else stored_key(table.clustering, after)
        if not can_be_written(table, key + (place or ())):
            return Page((), None)
        rows: list[Row] = []
        for found in self._stretches(table, key, place, limit + 1, descending):
            rows += self._live(table, found)
            if len(rows) > limit:
                last = rows[limit - 1].values
                names = (column.name for column in table.clustering)
                return Page(tuple(rows[:limit]), tuple(last[name] for name in names))
        return Page(tuple(rows), None)

    def scan(self, table: Table) -> Iterator[Row]:
        # Cassandra's own order is that of hashes, so keys are sorted here; they fit in memory.
        partitions = sorted(self._read(lambda space: cql.select_partitions(space, table), ()))
        for begin in range(0, len(partitions), SCAN_PARTITIONS):
            for row in self._partitions(table, partitions[begin : begin + SCAN_PARTITIONS]):
                if not self._is_over(table, row):
                    yield row

    def digest(self, table: Table) -> str:
        return digest_of(self.scan(table))

    def _partitions(self, table: Table, keys: list[tuple[Any, ...]]) -> Iterator[Row]:
        """Whole partitions in order; their first rows are read together."""
        space = self._space.name()
        if not table.clustering:
            cells = self._session.run_each(cql.select(space, table), keys)
            for key, found in zip(keys, cells, strict=True):
                yield from (cql.decoded(table, key, cell) for (cell,) in found)
            return
        first = cql.select_page(space, table, descending=False, after=False)
        pages = self._session.run_each(first, [(*key, SCAN_ROWS) for key in keys])
        for key, found in zip(keys, pages, strict=True):
            yield from _rows(table, key, found)
            if len(found) == SCAN_ROWS:
                place = found[-1][:-1]
                for more in self._stretches(table, key, place, SCAN_ROWS, descending=False):
                    yield from more

    def _stretches(
        self,
        table: Table,
        key: tuple[Any, ...],
        place: tuple[Any, ...] | None,
        count: int,
        descending: bool,
    ) -> Iterator[list[Row]]:
        """Rows of a partition after a place, deleted ones included: `count` first, then more."""
        while True:
            after = place is not None

            def statement(space: str, after: bool = after) -> str:
                return cql.select_page(space, table, descending, after)

            found = self._read(statement, (*key, *(place or ()), count))
            yield _rows(table, key, found)
            if len(found) < count:
                return
            place, count = found[-1][:-1], max(count, min(2 * count, STRETCH_ROWS))

    def _read(
        self, statement: Callable[[str], str], values: tuple[Any, ...]
    ) -> list[tuple[Any, ...]]:
        """From the active keyspace; one that was dropped meanwhile is not the active one."""
        space = self._space.name()
        try:
            return self._session.run(statement(space), values)
        except InvalidRequest:
            active = self._space.confirmed()
            if active == space:
                raise
        return self._session.run(statement(active), values)

    def _live(self, table: Table, rows: Iterable[Row]) -> Iterator[Row]:
        return (row for row in rows if not row.deleted and not self._is_over(table, row))

    def _is_over(self, table: Table, row: Row) -> bool:
        return table.ttl_s is not None and row.at_ms <= self._now_ms() - table.ttl_s * 1000


def _rows(table: Table, key: tuple[Any, ...], found: list[tuple[Any, ...]]) -> list[Row]:
    return [cql.decoded(table, (*key, *place), cell) for *place, cell in found]
