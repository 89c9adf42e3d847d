"""What every store of tables checks and compares: a table's shape, values, keys and the digest.

One reading of the port for all of them, so that what one takes, another takes, and rows that are
equal have one digest whichever store holds them. It must never know how a store keeps a value.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from millrace.sinks.ports import Column, Row, Table, Version
from millrace.sinks.ports.tables import (
    EXPIRED_KEPT_S,
    GENERATION_MAX,
    KEY_BYTES_MAX,
    OFFSET_MAX,
    PAGE_ROWS_MAX,
    ROW_BYTES_MAX,
)

EXPIRED_KEPT_MS = EXPIRED_KEPT_S * 1000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


def key_columns(table: Table) -> tuple[Column, ...]:
    return table.partition + table.clustering


def all_columns(table: Table) -> tuple[Column, ...]:
    return table.partition + table.clustering + table.columns


def names(columns: Iterable[Column]) -> str:
    """Quoted names with commas between, as SQL and CQL both take them."""
    return ", ".join(f'"{column.name}"' for column in columns)


def check_table(table: Table) -> None:
    """Raises ValueError where the declaration is no table."""
    listed = [column.name for column in all_columns(table)]
    if not table.partition or len(set(listed)) != len(listed):
        raise ValueError(f"table {table.name}: no partition key, or a column twice")
    if not all(_NAME.fullmatch(name) for name in (table.name, *listed)):
        raise ValueError(f"table {table.name}: a name that is not [a-z][a-z0-9_]*")
    if any(column.type in ("json", "double") for column in key_columns(table)):
        raise ValueError(f"table {table.name}: a key column of type json or double")


def check_page(table: Table, limit: int) -> None:
    """Raises ValueError where the table has no pages, or none of that size."""
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise ValueError(f"a page has 1 to {PAGE_ROWS_MAX} rows, not {limit}")
    if not table.clustering:
        raise ValueError(f"table {table.name} has one row a partition: get it")


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and _INT_MIN <= value <= _INT_MAX


def stored(column: Column, value: Any) -> Any:
    """A value as stores keep it, json as its text. Raises ValueError where it has another type."""
    match column.type, value:
        case _, None:
            return None
        case "json", _:
            with suppress(TypeError):
                return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
        case ("text", str()) | ("bool", bool()):
            return value
        case "int", int() if is_int(value):
            return value
        case "double", (int() | float()) if not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        case "bytes", (bytes() | bytearray() | memoryview()):
            return bytes(value)
    raise ValueError(f"column {column.name} of type {column.type} cannot hold {value!r:.100}")


def shown(column: Column, value: Any) -> Any:
    """A stored value as a reader gets it."""
    if value is None:
        return None
    match column.type:
        case "json":
            return json.loads(value)
        case "bool":
            return bool(value)
    return value


def stored_key(columns: tuple[Column, ...], key: Iterable[Any]) -> tuple[Any, ...]:
    """A key's values. Raises ValueError where one is missing or of another type."""
    values = tuple(key)
    if len(values) != len(columns) or None in values:
        raise ValueError(f"a key of ({names(columns)}) cannot be {values!r:.200}")
    return tuple(stored(column, value) for column, value in zip(columns, values, strict=True))


def size_bytes(value: Any) -> int:
    """Of a stored value. Raises ValueError for text that is no Unicode, as a lone surrogate is."""
    return len(value.encode()) if isinstance(value, str) else len(value or b"")


def stored_row(table: Table, row: Row) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The row's key and its other values, None for each where it is deleted. Raises ValueError."""
    unknown = row.values.keys() - {column.name for column in all_columns(table)}
    if unknown:
        raise ValueError(f"table {table.name} has no columns {sorted(unknown)}")
    columns = key_columns(table)
    key = stored_key(columns, [row.values.get(column.name) for column in columns])
    if not can_be_written(table, key):
        raise ValueError(f"a key of ({names(columns)}) cannot be {key!r:.200}")
    rest: tuple[Any, ...] = (None,) * len(table.columns)
    if not row.deleted:
        rest = tuple(stored(column, row.values.get(column.name)) for column in table.columns)
    if sum(size_bytes(value) for value in rest if isinstance(value, str | bytes)) > ROW_BYTES_MAX:
        raise ValueError(f"a row of table {table.name} has more than {ROW_BYTES_MAX} bytes")
    generation, offset = row.version
    if not (0 <= generation <= GENERATION_MAX and 0 <= offset <= OFFSET_MAX and is_int(row.at_ms)):
        raise ValueError(f"a row of table {table.name} at {row.version!r}, {row.at_ms!r}")
    return key, rest


def can_be_written(table: Table, key: tuple[Any, ...]) -> bool:
    """Whether a row may stand under these values; a reader finds none where it may not."""
    sizes = [size_bytes(value) if isinstance(value, str | bytes) else 8 for value in key]
    return all(sizes[: len(table.partition)]) and max(sizes) <= KEY_BYTES_MAX


def digest_of(rows: Iterable[Row]) -> str:
    """SHA-256 over rows in order of their keys, versions and tombstones included."""
    hashed = hashlib.sha256()
    for row in rows:
        line = [dict(row.values), row.version, row.at_ms, row.deleted]
        text = json.dumps(line, sort_keys=True, default=lambda value: {"bytes": value.hex()})
        hashed.update(text.encode() + b"\n")
    return hashed.hexdigest()


def row_of(
    table: Table, key: tuple[Any, ...], rest: tuple[Any, ...], mark: tuple[int, int, bool, int]
) -> Row:
    """A row from stored values; mark is generation, offset, deleted, at_ms."""
    generation, offset, deleted, at_ms = mark
    values = {c.name: shown(c, value) for c, value in zip(key_columns(table), key, strict=True)}
    if not deleted:
        values |= {c.name: shown(c, value) for c, value in zip(table.columns, rest, strict=True)}
    return Row(values, Version(generation, offset), at_ms, bool(deleted))
