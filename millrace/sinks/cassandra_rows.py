"""Tables and rows as Cassandra keeps them: a row is one cell, stamped with the row's version.

Cassandra settles two writes cell by cell, by their timestamps, and at equal ones by the larger
value. A row of many cells could so be put together of two writes; one of one cell can't. And a
null inside the cell is no tombstone, so that nothing is forgotten after gc_grace_seconds: a late
old row stays old for ever. See docs/decisions/0008-a-row-is-one-cell.md.

No statement here may be one whose repetition changes anything, or read the server's clock.
"""

from typing import Any

from millrace.sinks.ports import Row, Table, Version
from millrace.sinks.ports.tables import EXPIRED_KEPT_S, OFFSET_MAX
from millrace.sinks.table_rows import (
    check_table,
    key_columns,
    names,
    row_of,
    stored_row,
)

_CQL_TYPE = {
    "text": "text",
    "int": "bigint",
    "double": "double",
    "bool": "boolean",
    "bytes": "blob",
    "json": "text",
}
# What Cassandra takes at most: twenty years.
_TTL_S_MAX = 20 * 365 * 86_400


def shape(table: Table) -> str:
    """The declaration in words, kept as the table's comment. Raises ValueError: see check_table."""
    check_table(table)
    parts = [
        ", ".join(f"{column.name} {column.type}" for column in columns)
        for columns in (table.partition, table.clustering, table.columns)
    ]
    return " / ".join([*parts, f"ttl {table.ttl_s} s"])


def create_table(space: str, table: Table) -> str:
    keys = [f'"{column.name}" {_CQL_TYPE[column.type]}' for column in key_columns(table)]
    cell = ", ".join(_CQL_TYPE[column.type] for column in table.columns)
    # generation, offset, deleted, at_ms, and the columns.
    mark = "bigint, bigint, boolean, bigint"
    row = f'"_row" frozen<tuple<{mark}{", " if cell else ""}{cell}>>'
    primary = f"PRIMARY KEY ({', '.join([f'({names(table.partition)})', *_quoted(table)])})"
    lines = ",\n  ".join([*keys, row, primary])
    comment = shape(table)
    return (
        f'CREATE TABLE IF NOT EXISTS {space}."{table.name}" (\n  {lines}\n)'
        f" WITH comment = '{comment}'"
    )


def _quoted(table: Table) -> list[str]:
    return [f'"{column.name}"' for column in table.clustering]


def insert(space: str, table: Table) -> str:
    keys = key_columns(table)
    ttl = "" if table.ttl_s is None else " AND TTL ?"
    return (
        f'INSERT INTO {space}."{table.name}" ({names(keys)}, "_row")'
        f" VALUES ({'?, ' * len(keys)}?) USING TIMESTAMP ?{ttl}"
    )


def inserted(table: Table, row: Row, now_ms: int) -> tuple[Any, ...]:
    """What `insert` takes. Raises ValueError where the row has the wrong shape."""
    key, rest = stored_row(table, row)
    cell = (*row.version, row.deleted, row.at_ms, *rest)
    if table.ttl_s is None:
        return *key, cell, timestamp_of(row.version)
    # The server only clears away: it's the reader's clock that says when a row's time is over.
    left_s = max(0, -(-(row.at_ms - now_ms) // 1000) + table.ttl_s)
    return *key, cell, timestamp_of(row.version), min(left_s + EXPIRED_KEPT_S, _TTL_S_MAX)


def timestamp_of(version: Version) -> int:
    """A number in the order of versions; Cassandra keeps the row with the larger one."""
    return version.generation * (OFFSET_MAX + 1) + version.offset


def select(space: str, table: Table) -> str:
    """The row of a whole key."""
    where = " AND ".join(f'"{column.name}" = ?' for column in key_columns(table))
    return f'SELECT "_row" FROM {space}."{table.name}" WHERE {where}'


def select_page(space: str, table: Table, descending: bool, after: bool) -> str:
    """Clustering keys and rows of a partition in order, LIMIT the last value."""
    wheres = [f'"{column.name}" = ?' for column in table.partition]
    if after:
        marks = ", ".join("?" * len(table.clustering))
        wheres.append(f"({names(table.clustering)}) {'<' if descending else '>'} ({marks})")
    order = ", ".join(f"{name} {'DESC' if descending else 'ASC'}" for name in _quoted(table))
    return (
        f'SELECT {names(table.clustering)}, "_row" FROM {space}."{table.name}"'
        f" WHERE {' AND '.join(wheres)} ORDER BY {order} LIMIT ?"
    )


def select_partitions(space: str, table: Table) -> str:
    return f'SELECT DISTINCT {names(table.partition)} FROM {space}."{table.name}"'


def decoded(table: Table, key: tuple[Any, ...], cell: tuple[Any, ...]) -> Row:
    """The row that a cell says stands under a key of stored values."""
    generation, offset, deleted, at_ms, *rest = cell
    return row_of(table, key, tuple(rest), (generation, offset, deleted, at_ms))
