"""Tables on SQLite: the embedded engine's, and with it the tests' and the simulator's.

It must never let an older version replace a newer one, whatever the order of the writes.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from millrace.sinks.ports import Key, Page, Row, Table
from millrace.sinks.ports.tables import PAGE_ROWS_MAX
from millrace.sinks.sqlite_database import Database
from millrace.sinks.table_rows import (
    EXPIRED_KEPT_MS,
    all_columns,
    check_page,
    check_table,
    digest_of,
    key_columns,
    names,
    row_of,
    stored_key,
    stored_row,
)

_SQL_TYPE = {
    "text": "TEXT",
    "int": "INTEGER",
    "double": "REAL",
    "bool": "INTEGER",
    "bytes": "BLOB",
    "json": "TEXT",
}
# Names of ours begin with what no column's name may begin with.
_SYSTEM = ("_generation", "_offset", "_deleted", "_at_ms")


def ddl(table: Table) -> tuple[str, ...]:
    """The statements that make a table. Raises ValueError where the declaration is no table."""
    check_table(table)
    keys = key_columns(table)
    lines = [
        f'"{column.name}" {_SQL_TYPE[column.type]}{" NOT NULL" if column in keys else ""}'
        for column in all_columns(table)
    ]
    lines += [f'"{name}" INTEGER NOT NULL' for name in _SYSTEM]
    lines.append(f"PRIMARY KEY ({names(keys)})")
    create = f'CREATE TABLE "{table.name}" (\n  ' + ",\n  ".join(lines) + "\n) WITHOUT ROWID"
    if table.ttl_s is None:
        return (create,)
    return create, f'CREATE INDEX "{table.name}_by_time" ON "{table.name}" ("_at_ms")'


def _encode_row(table: Table, row: Row) -> tuple[Any, ...]:
    key, rest = stored_row(table, row)
    return *key, *rest, row.version.generation, row.version.offset, int(row.deleted), row.at_ms


def _decode_row(table: Table, raw: tuple[Any, ...]) -> Row:
    keys, ends = len(key_columns(table)), len(all_columns(table))
    generation, offset, deleted, at_ms = raw[ends:]
    return row_of(table, raw[:keys], raw[keys:ends], (generation, offset, deleted, at_ms))


class SqliteTables:
    """`Tables` in one SQLite file, `path`, or in memory where that is None.

    now_ms is the clock, in milliseconds of the epoch; only tables with a ttl look at it.
    """

    def __init__(self, path: Path | None, now_ms: Callable[[], int]) -> None:
        self._database = Database(path)
        self._now_ms = now_ms

    def close(self) -> None:
        self._database.close()

    def create(self, tables: Iterable[Table]) -> None:
        wanted = [(table, ddl(table)) for table in tables]
        with self._database.writing() as connection:
            for table, statements in wanted:
                there = connection.execute(
                    "SELECT sql FROM sqlite_master WHERE tbl_name = ? ORDER BY type DESC",
                    (table.name,),
                ).fetchall()
                if not there:
                    for statement in statements:
                        connection.execute(statement)
                elif tuple(sql for (sql,) in there) != statements:
                    raise ValueError(f"table {table.name} stands there in another shape")

    def upsert(self, table: Table, rows: Iterable[Row]) -> None:
        encoded = [_encode_row(table, row) for row in rows]
        others = [column.name for column in table.columns] + list(_SYSTEM)
        width = len(all_columns(table)) + len(_SYSTEM)
        statement = (
            f'INSERT INTO "{table.name}" VALUES ({", ".join("?" * width)})'
            f" ON CONFLICT ({names(key_columns(table))}) DO UPDATE SET "
            + ", ".join(f'"{name}" = excluded."{name}"' for name in others)
            + ' WHERE (excluded."_generation", excluded."_offset")'
            f' > ("{table.name}"."_generation", "{table.name}"."_offset")'
        )
        if not encoded:
            return
        with self._database.writing() as connection:
            connection.executemany(statement, encoded)
            if table.ttl_s is not None:
                connection.execute(
                    f'DELETE FROM "{table.name}" WHERE "_at_ms" <= ?',
                    (self._horizon_ms(table) - EXPIRED_KEPT_MS,),
                )

    def get(self, table: Table, partition: Key, clustering: Key = ()) -> Row | None:
        key = stored_key(table.partition, partition) + stored_key(table.clustering, clustering)
        wheres = [f'"{column.name}" = ?' for column in key_columns(table)]
        rows = self._select(table, wheres, key, "LIMIT 1")
        return rows[0] if rows else None

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
        wheres = [f'"{column.name}" = ?' for column in table.partition]
        values = stored_key(table.partition, partition)
        if after is not None:
            marks = ", ".join("?" * len(table.clustering))
            sign = "<" if descending else ">"
            wheres.append(f"({names(table.clustering)}) {sign} ({marks})")
            values += stored_key(table.clustering, after)
        direction = " DESC" if descending else ""
        order = ", ".join(f'"{column.name}"{direction}' for column in table.clustering)
        rows = self._select(table, wheres, values, f"ORDER BY {order} LIMIT {limit + 1}")
        if len(rows) <= limit:
            return Page(tuple(rows), None)
        last = rows[limit - 1].values
        return Page(tuple(rows[:limit]), tuple(last[column.name] for column in table.clustering))

    def scan(self, table: Table) -> Iterator[Row]:
        columns = key_columns(table)
        wheres: list[str] = []
        values: tuple[Any, ...] = ()
        # In pages, so that no statement stays open while the caller thinks.
        while True:
            tail = f"ORDER BY {names(columns)} LIMIT {PAGE_ROWS_MAX}"
            rows = self._select(table, wheres, values, tail, with_tombstones=True)
            yield from rows
            if len(rows) < PAGE_ROWS_MAX:
                return
            wheres = [f"({names(columns)}) > ({', '.join('?' * len(columns))})"]
            values = stored_key(columns, [rows[-1].values[column.name] for column in columns])

    def digest(self, table: Table) -> str:
        return digest_of(self.scan(table))

    def _horizon_ms(self, table: Table) -> int:
        assert table.ttl_s is not None
        return self._now_ms() - table.ttl_s * 1000

    def _select(
        self,
        table: Table,
        wheres: list[str],
        values: tuple[Any, ...],
        tail: str,
        with_tombstones: bool = False,
    ) -> list[Row]:
        conditions = list(wheres)
        if not with_tombstones:
            conditions.append('"_deleted" = 0')
        if table.ttl_s is not None:
            conditions.append('"_at_ms" > ?')
            values += (self._horizon_ms(table),)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        with self._database.reading() as connection:
            raw = connection.execute(f'SELECT * FROM "{table.name}" {where} {tail}', values)
            return [_decode_row(table, row) for row in raw]
