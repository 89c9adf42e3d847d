"""The tables' port: versioned rows, so that any order of writes ends in the same table.

It must never offer what makes a row depend on anything but the log: counters, now(), joins.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

Key = tuple[Any, ...]
ColumnType = Literal["text", "int", "double", "bool", "bytes", "json"]


# What fits a store's key, its largest mutation and its timestamps: Cassandra's limits with room.
KEY_BYTES_MAX = 8 * 1024
ROW_BYTES_MAX = 4 * 1024 * 1024
PAGE_ROWS_MAX = 1000
# A row whose time is over keeps older versions of itself away for this long.
EXPIRED_KEPT_S = 86_400


class Version(NamedTuple):
    """Generation of the topic, then offset in its partition: unique per row, compared in order.

    generation is 0 to GENERATION_MAX, offset 0 to OFFSET_MAX: together the 62 bits of a timestamp.
    """

    generation: int
    offset: int


GENERATION_MAX = 2**19 - 1
OFFSET_MAX = 2**43 - 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column; json takes what json.dumps takes and gives it back with dictionaries equal."""

    name: str
    type: ColumnType


@dataclass(frozen=True, slots=True)
class Table:
    """A table: one question of the gateway. Names are permanent: `[a-z][a-z0-9_]*`, 48 at most.

    A row is found by the whole partition key and, within it, the clustering key, in whose order
    `page` reads. Key columns are never null and have KEY_BYTES_MAX each; those of the partition
    are never empty; the other columns may be null, and have ROW_BYTES_MAX together. With `ttl_s` a
    row is gone that long after its own `at_ms`, whenever it was written, so that a rebuild ends in
    the same rows.
    """

    name: str
    partition: tuple[Column, ...]
    clustering: tuple[Column, ...] = ()
    columns: tuple[Column, ...] = ()
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A whole row: a value for every key column; a column left out is null.

    `deleted` leaves a tombstone that bears the version; its values beside the key are ignored.
    `at_ms` is the record's logical time; only tables with `ttl_s` read it.
    """

    values: Mapping[str, Any]
    version: Version
    at_ms: int = 0
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Live rows in order; `after` goes into the next call and is None on the last page."""

    rows: tuple[Row, ...]
    after: Key | None


class Tables(Protocol):
    """Versioned rows. Calls block; any thread may make them. Every call may raise StoreBusy.

    A row of the wrong shape (a key column missing, an unknown column, another type, too large) is
    a bug and raises ValueError before anything is written. Keys are tuples in the order of the
    columns.
    """

    def create(self, tables: Iterable[Table]) -> None:
        """Makes the tables that are missing. Idempotent. Every other call needs it first.

        ValueError where a table stands there in another shape: that is a migration.
        """
        ...

    def upsert(self, table: Table, rows: Iterable[Row]) -> None:
        """Writes each row unless the stored version (tombstones too) is newer.

        Each row is written whole or not at all, and all are durable on return. A call that raises
        StoreBusy may have written some of its rows, each of which may already be read: repeat it.
        Idempotent, and any order of calls ends in the same rows. The rows of a call are of any
        keys, a key more than once included. Two rows of one key and version are the same row,
        made of one record; where another build made them differ, one of the two stays, whole.
        """
        ...

    def get(self, table: Table, partition: Key, clustering: Key = ()) -> Row | None:
        """The row, None where there is none, it was deleted or its time is over."""
        ...

    def page(
        self,
        table: Table,
        partition: Key,
        *,
        after: Key | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> Page:
        """Live rows of a partition whose clustering key comes after `after`; limit 1 to 1000."""
        ...

    def scan(self, table: Table) -> Iterator[Row]:
        """Every row by key, tombstones included, for comparing and repair; not for the gateway."""
        ...

    def digest(self, table: Table) -> str:
        """SHA-256 over `scan`: equal where and only where all rows, versions included, are."""
        ...
