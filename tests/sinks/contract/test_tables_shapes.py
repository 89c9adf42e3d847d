"""What `Tables` takes and refuses, over every implementation."""

from typing import Any

import pytest

from millrace.sinks.ports import Column, Page, Row, Table, Tables, Version
from millrace.sinks.ports.tables import (
    GENERATION_MAX,
    KEY_BYTES_MAX,
    OFFSET_MAX,
    ROW_BYTES_MAX,
)
from tests.sinks.contract.rows import SESSIONS, VIDEOS, make_row, title


def test_every_type_comes_back_as_it_was(tables: Tables) -> None:
    document = {"ö": [1, 2.5, None, True, {"deep": "text"}], "empty": {}}
    values = {
        "owner": "ann'; DROP TABLE videos; --",
        "at_ms": -(2**63),
        "video_id": "",
        "title": "\0 snow ☃",
        "ready": True,
        "score": 1.5,
        "digest": b"\0\xff",
        "document": document,
    }
    tables.upsert(VIDEOS, [Row(values, Version(1, 7), at_ms=5)])
    row = tables.get(VIDEOS, (values["owner"],), (-(2**63), ""))
    assert row == Row(values, Version(1, 7), at_ms=5)


@pytest.mark.parametrize(
    "values",
    [
        {"owner": None},
        {"at_ms": "1"},
        {"at_ms": True},
        {"at_ms": 2**63},
        {"unknown": 1},
        {"title": 5},
        {"ready": 1},
        {"score": float("nan")},
        {"digest": "text"},
        {"document": object()},
        {"document": float("inf")},
        {"title": "\ud800"},
        {"document": ["\ud800"]},
        {"owner": ""},
        {"owner": "x" * (KEY_BYTES_MAX + 1)},
        {"video_id": "x" * (KEY_BYTES_MAX + 1)},
        {"title": "ö" * (ROW_BYTES_MAX // 2), "digest": b"x"},
    ],
)
def test_a_row_of_the_wrong_shape_is_a_bug_and_nothing_is_written(
    tables: Tables, values: dict[str, Any]
) -> None:
    with pytest.raises(ValueError):
        tables.upsert(VIDEOS, [make_row(1, video_id="good"), make_row(1, **values)])
    assert list(tables.scan(VIDEOS)) == []


@pytest.mark.parametrize(
    ("version", "at_ms"),
    [
        (Version(-1, 0), 0),
        (Version(0, -1), 0),
        (Version(GENERATION_MAX + 1, 0), 0),
        (Version(0, OFFSET_MAX + 1), 0),
        (Version(0, 0), 2**63),
    ],
)
def test_a_version_or_a_time_out_of_bounds_is_a_bug(
    tables: Tables, version: Version, at_ms: int
) -> None:
    with pytest.raises(ValueError):
        tables.upsert(VIDEOS, [Row(make_row().values, version, at_ms)])
    assert list(tables.scan(VIDEOS)) == []


def test_the_largest_row_is_taken(tables: Tables) -> None:
    row = make_row(OFFSET_MAX, GENERATION_MAX, title="x" * (ROW_BYTES_MAX - 1), digest=b"x")
    whole = {**row.values, "owner": "x" * KEY_BYTES_MAX, "video_id": "x" * KEY_BYTES_MAX}
    tables.upsert(VIDEOS, [Row(whole, row.version)])
    found = tables.get(VIDEOS, (whole["owner"],), (1, whole["video_id"]))
    assert found is not None
    assert (found.values["title"], found.version) == (whole["title"], row.version)


@pytest.mark.parametrize("owner", ["", "x" * 70_000])
def test_under_a_key_that_no_row_can_have_there_is_none(tables: Tables, owner: str) -> None:
    assert tables.get(VIDEOS, (owner,), (1, "v1")) is None
    assert tables.page(VIDEOS, (owner,)) == Page((), None)
    assert tables.get(SESSIONS, (owner,)) is None


@pytest.mark.parametrize("key", [(), ("ann", "ben"), (None,), (1,)])
def test_a_key_of_another_shape_is_a_bug(tables: Tables, key: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError):
        tables.get(SESSIONS, key)
    with pytest.raises(ValueError):
        tables.page(VIDEOS, key)


def test_making_tables_again_keeps_their_rows(tables: Tables) -> None:
    tables.upsert(VIDEOS, [make_row(1, title="kept")])
    tables.create([VIDEOS, SESSIONS])
    assert title(tables) == "kept"


def test_a_table_in_another_shape_is_a_migration_and_refused(tables: Tables) -> None:
    for changed in (
        Table("videos", VIDEOS.partition, VIDEOS.clustering, VIDEOS.columns[1:]),
        Table("sessions", SESSIONS.partition, (), SESSIONS.columns, ttl_s=None),
    ):
        with pytest.raises(ValueError, match="another shape"):
            tables.create([changed])


@pytest.mark.parametrize(
    "table",
    [
        Table("no_key", ()),
        Table("Upper", VIDEOS.partition),
        Table('x" (y)', VIDEOS.partition),
        Table("twice", VIDEOS.partition, VIDEOS.partition),
        Table("json_key", (Column("k", "json"),)),
        Table("column", VIDEOS.partition, (), (Column("_offset", "int"),)),
    ],
)
def test_what_is_no_table_is_refused(tables: Tables, table: Table) -> None:
    with pytest.raises(ValueError, match="table"):
        tables.create([table])
