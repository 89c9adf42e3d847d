"""Tables on SQLite: the embedded engine's, and with it the tests' and the simulator's.

It must never let an older version replace a newer one, whatever the order of the writes.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from millrace.sinks.ports import Column, Key, Page, Row, Table, Version
from millrace.sinks.sqlite_database import Database

PAGE_ROWS_MAX = 1000
_NAME = re.compile(r"[a-z][a-z0-9_]*")
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


def _all_columns(table: Table) -> tuple[Column, ...]:
    return table.partition + table.clustering + table.columns


def _key_columns(table: Table) -> tuple[Column, ...]:
    return table.partition + table.clustering


def ddl(table: Table) -> tuple[str, ...]:
    """The statements that make a table. Raises ValueError where the declaration is no table."""
    columns = _all_columns(table)
    names = [column.name for column in columns]
    if not table.partition or len(set(names)) != len(names):
        raise ValueError(f"table {table.name}: no partition key, or a column twice")
    if not all(_NAME.fullmatch(name) for name in (table.name, *names)):
        raise ValueError(f"table {table.name}: a name that is not [a-z][a-z0-9_]*")
    if any(column.type in ("json", "double") for column in _key_columns(table)):
        raise ValueError(f"table {table.name}: a key column of type json or double")
    keys = {column.name for column in _key_columns(table)}
    lines = [
        f'"{column.name}" {_SQL_TYPE[column.type]}{" NOT NULL" if column.name in keys else ""}'
        for column in columns
    ]
    lines += [f'"{name}" INTEGER NOT NULL' for name in _SYSTEM]
    lines.append(f"PRIMARY KEY ({_names(_key_columns(table))})")
    create = f'CREATE TABLE "{table.name}" (\n  ' + ",\n  ".join(lines) + "\n) WITHOUT ROWID"
    if table.ttl_s is None:
        return (create,)
    return create, f'CREATE INDEX "{table.name}_by_time" ON "{table.name}" ("_at_ms")'


def _names(columns: Iterable[Column]) -> str:
    return ", ".join(f'"{column.name}"' for column in columns)


def _encode(column: Column, value: Any) -> Any:
    """A column's value as SQLite keeps it. Raises ValueError where it has another type."""
    match column.type, value:
        case _, None:
            return None
        case "json", _:
            with suppress(TypeError):
                return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
        case "text", str():
            value.encode()  # SQLite would refuse lone surrogates only after BEGIN
            return value
        case "bool", bool():
            return int(value)
        case "int", int() if not isinstance(value, bool) and -(2**63) <= value < 2**63:
            return value
        case "double", (int() | float()) if not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        case "bytes", (bytes() | bytearray() | memoryview()):
            return bytes(value)
    raise ValueError(f"column {column.name} of type {column.type} cannot hold {value!r:.100}")


def _decode(column: Column, value: Any) -> Any:
    if value is None:
        return None
    match column.type:
        case "json":
            return json.loads(value)
        case "bool":
            return bool(value)
    return value


def _encode_row(table: Table, row: Row) -> tuple[Any, ...]:
    unknown = row.values.keys() - {column.name for column in _all_columns(table)}
    if unknown:
        raise ValueError(f"table {table.name} has no columns {sorted(unknown)}")
    key = _encode_key(_key_columns(table), [row.values.get(c.name) for c in _key_columns(table)])
    if row.deleted:
        rest: tuple[Any, ...] = (None,) * len(table.columns)
    else:
        rest = tuple(_encode(column, row.values.get(column.name)) for column in table.columns)
    return *key, *rest, row.version.generation, row.version.offset, int(row.deleted), row.at_ms


def _encode_key(columns: tuple[Column, ...], key: Iterable[Any]) -> tuple[Any, ...]:
    values = tuple(key)
    if len(values) != len(columns) or None in values:
        raise ValueError(f"a key of ({_names(columns)}) cannot be {values!r:.200}")
    return tuple(_encode(column, value) for column, value in zip(columns, values, strict=True))


def _decode_row(table: Table, raw: tuple[Any, ...]) -> Row:
    columns = _all_columns(table)
    generation, offset, deleted, at_ms = raw[len(columns) :]
    shown = _key_columns(table) if deleted else columns
    values: Mapping[str, Any] = {
        column.name: _decode(column, value) for column, value in zip(shown, raw, strict=False)
    }
    return Row(values, Version(generation, offset), at_ms, bool(deleted))


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
        names = [column.name for column in table.columns] + list(_SYSTEM)
        width = len(_all_columns(table)) + len(_SYSTEM)
        statement = (
            f'INSERT INTO "{table.name}" VALUES ({", ".join("?" * width)})'
            f" ON CONFLICT ({_names(_key_columns(table))}) DO UPDATE SET "
            + ", ".join(f'"{name}" = excluded."{name}"' for name in names)
            + ' WHERE (excluded."_generation", excluded."_offset")'
            f' > ("{table.name}"."_generation", "{table.name}"."_offset")'
        )
        if not encoded:
            return
        with self._database.writing() as connection:
            connection.executemany(statement, encoded)
            if table.ttl_s is not None:
                connection.execute(
                    f'DELETE FROM "{table.name}" WHERE "_at_ms" <= ?', (self._horizon_ms(table),)
                )

    def get(self, table: Table, partition: Key, clustering: Key = ()) -> Row | None:
        key = _encode_key(table.partition, partition) + _encode_key(table.clustering, clustering)
        wheres = [f'"{column.name}" = ?' for column in _key_columns(table)]
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
        if not 1 <= limit <= PAGE_ROWS_MAX:
            raise ValueError(f"a page has 1 to {PAGE_ROWS_MAX} rows, not {limit}")
        if not table.clustering:
            raise ValueError(f"table {table.name} has one row a partition: get it")
        wheres = [f'"{column.name}" = ?' for column in table.partition]
        values = _encode_key(table.partition, partition)
        if after is not None:
            marks = ", ".join("?" * len(table.clustering))
            sign = "<" if descending else ">"
            wheres.append(f"({_names(table.clustering)}) {sign} ({marks})")
            values += _encode_key(table.clustering, after)
        direction = " DESC" if descending else ""
        order = ", ".join(f'"{column.name}"{direction}' for column in table.clustering)
        rows = self._select(table, wheres, values, f"ORDER BY {order} LIMIT {limit + 1}")
        if len(rows) <= limit:
            return Page(tuple(rows), None)
        last = rows[limit - 1].values
        return Page(tuple(rows[:limit]), tuple(last[column.name] for column in table.clustering))

    def scan(self, table: Table) -> Iterator[Row]:
        columns = _key_columns(table)
        wheres: list[str] = []
        values: tuple[Any, ...] = ()
        # In pages, so that no statement stays open while the caller thinks.
        while True:
            tail = f"ORDER BY {_names(columns)} LIMIT {PAGE_ROWS_MAX}"
            rows = self._select(table, wheres, values, tail, with_tombstones=True)
            yield from rows
            if len(rows) < PAGE_ROWS_MAX:
                return
            wheres = [f"({_names(columns)}) > ({', '.join('?' * len(columns))})"]
            values = _encode_key(columns, [rows[-1].values[column.name] for column in columns])

    def digest(self, table: Table) -> str:
        hashed = hashlib.sha256()
        for row in self.scan(table):
            line = [dict(row.values), row.version, row.at_ms, row.deleted]
            text = json.dumps(line, sort_keys=True, default=lambda value: {"bytes": value.hex()})
            hashed.update(text.encode() + b"\n")
        return hashed.hexdigest()

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
