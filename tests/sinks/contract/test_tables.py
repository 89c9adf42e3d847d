"""What `Tables` promises, over every implementation."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millrace.sinks.ports import Column, Page, Row, Table, Tables, Version
from millrace.sinks.ports.tables import (
    GENERATION_MAX,
    KEY_BYTES_MAX,
    OFFSET_MAX,
    ROW_BYTES_MAX,
)
from millrace.sinks.sqlite_tables import SqliteTables
from tests.sinks.cassandra_space import CassandraSpace
from tests.sinks.door_client import Clock

VIDEOS = Table(
    "videos",
    partition=(Column("owner", "text"),),
    clustering=(Column("at_ms", "int"), Column("video_id", "text")),
    columns=(
        Column("title", "text"),
        Column("ready", "bool"),
        Column("score", "double"),
        Column("digest", "bytes"),
        Column("document", "json"),
    ),
)
SESSIONS = Table(
    "sessions",
    partition=(Column("id", "text"),),
    columns=(Column("user", "text"),),
    ttl_s=60,
)


def make_row(offset: int = 0, generation: int = 1, deleted: bool = False, **values: Any) -> Row:
    whole = {"owner": "ann", "at_ms": 1, "video_id": "v1", **values}
    return Row(whole, Version(generation, offset), deleted=deleted)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "sqlite in memory", "cassandra"])
def tables(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Tables]:
    if request.param == "cassandra":
        space: CassandraSpace = request.getfixturevalue("cassandra_space")
        made = space.tables(clock.now_ms)
        made.create([VIDEOS, SESSIONS])
        yield made
        space.empty()
        return
    path = None if request.param == "sqlite in memory" else tmp_path / "tables.sqlite"
    opened = SqliteTables(path, clock.now_ms)
    opened.create([VIDEOS, SESSIONS])
    yield opened
    opened.close()


def title(tables: Tables) -> Any:
    row = tables.get(VIDEOS, ("ann",), (1, "v1"))
    return None if row is None else row.values["title"]


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


def test_a_column_left_out_is_null_and_clears_what_was_there(tables: Tables) -> None:
    tables.upsert(VIDEOS, [make_row(1, title="old", ready=False)])
    tables.upsert(VIDEOS, [make_row(2, ready=True)])
    assert title(tables) is None


@pytest.mark.parametrize("newer", [Version(1, 6), Version(2, 0), Version(GENERATION_MAX, 0)])
def test_an_older_version_never_overwrites_a_newer_one(tables: Tables, newer: Version) -> None:
    new = make_row(newer.offset, newer.generation, title="new")
    tables.upsert(VIDEOS, [new])
    tables.upsert(VIDEOS, [make_row(5, 1, title="old"), make_row(OFFSET_MAX, 0, title="old")])
    assert title(tables) == "new"


@pytest.mark.parametrize("swapped", [False, True])
def test_two_rows_of_one_version_are_never_mixed(tables: Tables, swapped: bool) -> None:
    """Two builds may make different rows of one record: either may stay, but whole."""
    one = make_row(7, title="b", score=1.0, digest=b"")
    two = make_row(7, title="a", ready=True, score=2.0)
    for row in (two, one) if swapped else (one, two):
        tables.upsert(VIDEOS, [row])
    found = tables.get(VIDEOS, ("ann",), (1, "v1"))
    assert found is not None
    there = {name: value for name, value in found.values.items() if value is not None}
    assert there in (one.values, two.values)


def test_a_null_stays_null_when_an_older_row_comes_late(tables: Tables) -> None:
    tables.upsert(VIDEOS, [make_row(2, ready=True)])
    tables.upsert(VIDEOS, [make_row(1, title="old", digest=b"old")])
    assert tables.get(VIDEOS, ("ann",), (1, "v1")) == Row(
        {
            **make_row().values,
            "title": None,
            "ready": True,
            "score": None,
            "digest": None,
            "document": None,
        },
        Version(1, 2),
    )


def test_a_deleted_row_is_not_brought_back_by_an_older_one(tables: Tables) -> None:
    tables.upsert(VIDEOS, [make_row(5, deleted=True), make_row(4, title="old")])
    assert title(tables) is None
    assert tables.page(VIDEOS, ("ann",)).rows == ()
    tables.upsert(VIDEOS, [make_row(6, title="again")])
    assert title(tables) == "again"


def test_a_tombstone_keeps_no_values(tables: Tables) -> None:
    tables.upsert(VIDEOS, [make_row(1, title="secret")])
    tables.upsert(VIDEOS, [make_row(2, title="secret", deleted=True)])
    (tombstone,) = tables.scan(VIDEOS)
    assert tombstone.deleted
    assert tombstone.values == {"owner": "ann", "at_ms": 1, "video_id": "v1"}


def test_any_order_of_writes_ends_in_the_same_rows(tables: Tables) -> None:
    rows = [make_row(1, title="a"), make_row(2, deleted=True), make_row(3, title="c")]
    ends = set()
    for number, order in enumerate(itertools.permutations(rows)):
        owner = f"owner {number}"
        for row in order:
            moved = Row({**row.values, "owner": owner}, row.version, deleted=row.deleted)
            tables.upsert(VIDEOS, [moved])
        found = tables.get(VIDEOS, (owner,), (1, "v1"))
        assert found is not None
        ends.add((found.values["title"], found.version))
    assert ends == {("c", Version(1, 3))}


def test_one_call_may_hold_a_key_more_than_once(tables: Tables) -> None:
    tables.upsert(VIDEOS, [make_row(3, title="c"), make_row(1, title="a"), make_row(2)])
    assert title(tables) == "c"
    tables.upsert(VIDEOS, [])


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


def test_a_page_is_found_behind_many_deleted_rows(tables: Tables) -> None:
    tables.upsert(VIDEOS, [make_row(n, at_ms=n, deleted=True) for n in range(1500)])
    tables.upsert(VIDEOS, [make_row(1, at_ms=n) for n in (700, 1500)])
    page = tables.page(VIDEOS, ("ann",), limit=1)
    assert [row.values["at_ms"] for row in page.rows] == [1500]
    assert page.after is None
    tables.upsert(VIDEOS, [make_row(1501, at_ms=n) for n in (700,)])
    page = tables.page(VIDEOS, ("ann",), limit=1)
    assert [row.values["at_ms"] for row in page.rows] == [700]
    assert page.after == (700, "v1")
    assert len(tables.page(VIDEOS, ("ann",), after=page.after).rows) == 1


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 4, 100])
def test_pages_go_through_a_partition_in_order(
    tables: Tables, descending: bool, limit: int
) -> None:
    keys = [(at_ms, f"v{n}") for at_ms in (1, 2, 10) for n in range(4)]
    rows = [make_row(n, at_ms=k[0], video_id=k[1]) for n, k in enumerate(keys)]
    tables.upsert(VIDEOS, [*rows, make_row(99, owner="bob")])
    tables.upsert(VIDEOS, [make_row(100, at_ms=2, video_id="v1", deleted=True)])
    found, after, pages = [], None, 0
    while True:
        page = tables.page(VIDEOS, ("ann",), after=after, limit=limit, descending=descending)
        found += [(row.values["at_ms"], row.values["video_id"]) for row in page.rows]
        after, pages = page.after, pages + 1
        if after is None:
            break
    left = [key for key in keys if key != (2, "v1")]
    assert found == (left[::-1] if descending else left)
    assert pages == -(-len(left) // limit)


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_has_bounds(tables: Tables, limit: int) -> None:
    with pytest.raises(ValueError, match="page"):
        tables.page(VIDEOS, ("ann",), limit=limit)


def test_a_row_is_gone_when_its_time_is_over_whenever_it_was_written(
    tables: Tables, clock: Clock
) -> None:
    born_ms = clock.at_ms
    clock.at_ms += 59_000
    tables.upsert(SESSIONS, [Row({"id": "s", "user": "ann"}, Version(1, 1), at_ms=born_ms)])
    assert tables.get(SESSIONS, ("s",)) is not None
    clock.at_ms += 1_000
    assert tables.get(SESSIONS, ("s",)) is None
    assert list(tables.scan(SESSIONS)) == []
    tables.upsert(SESSIONS, [Row({"id": "t", "user": "bob"}, Version(1, 2), at_ms=born_ms)])
    assert list(tables.scan(SESSIONS)) == []


@pytest.mark.parametrize("swapped", [False, True])
def test_a_row_whose_time_is_over_keeps_its_older_versions_away(
    tables: Tables, clock: Clock, swapped: bool
) -> None:
    live = Row({"id": "s", "user": "ann"}, Version(1, 1), at_ms=clock.at_ms)
    over = Row({"id": "s", "user": "ann"}, Version(1, 2), at_ms=clock.at_ms - 60_000)
    for row in (over, live) if swapped else (live, over):
        tables.upsert(SESSIONS, [row])
    assert tables.get(SESSIONS, ("s",)) is None


def test_a_scan_reads_every_row_by_key(tables: Tables) -> None:
    keys = [(f"o{n % 40}" if n % 3 else "ö", n) for n in range(1500)]
    rows = [make_row(n, owner=owner, at_ms=n, title=str(n)) for owner, n in keys]
    tables.upsert(VIDEOS, rows)
    found = [(row.values["owner"], row.values["at_ms"]) for row in tables.scan(VIDEOS)]
    assert found == sorted(keys)


def test_a_scan_of_a_table_without_clustering_reads_every_row_by_key(
    tables: Tables, clock: Clock
) -> None:
    ids = [f"s{n}" for n in range(50)]
    tables.upsert(
        SESSIONS, [Row({"id": each, "user": each}, Version(0, 1), clock.at_ms) for each in ids]
    )
    assert [row.values["user"] for row in tables.scan(SESSIONS)] == sorted(ids)


def test_the_digest_tells_any_difference(tables: Tables) -> None:
    digests = [tables.digest(VIDEOS)]
    for row in (
        make_row(1, title="a"),
        make_row(2, title="a"),
        make_row(3, title="b"),
        make_row(4, title="b", digest=b"x"),
        make_row(5, title="b", digest=b"y"),
        make_row(6, title="b", document={}),
        make_row(7, deleted=True),
    ):
        tables.upsert(VIDEOS, [row])
        digests.append(tables.digest(VIDEOS))
        assert tables.digest(VIDEOS) == digests[-1]
    assert len(set(digests)) == len(digests)


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


keys = st.tuples(st.sampled_from(["a", "b"]), st.integers(-2, 2), st.sampled_from(["x", "y"]))
writes = st.tuples(keys, st.integers(0, 3), st.integers(0, 9), st.booleans())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(writes, max_size=20, unique_by=lambda write: write[:3]))
def test_the_table_is_what_the_newest_writes_say(
    tables: Tables, written: list[tuple[tuple[str, int, str], int, int, bool]]
) -> None:
    for row in list(tables.scan(VIDEOS)):
        # Each example begins above the versions of the one before.
        newer = Version(row.version.generation + 4, 0)
        tables.upsert(VIDEOS, [Row(row.values, newer, deleted=True)])
    base = max((row.version.generation for row in tables.scan(VIDEOS)), default=0) + 1
    newest: dict[tuple[str, int, str], tuple[Version, bool]] = {}
    for (owner, at_ms, video_id), generation, offset, deleted in written:
        version = Version(base + generation, offset)
        key = {"owner": owner, "at_ms": at_ms, "video_id": video_id}
        tables.upsert(VIDEOS, [Row({**key, "title": f"{version}"}, version, deleted=deleted)])
        found = newest.get((owner, at_ms, video_id))
        if found is None or version > found[0]:
            newest[owner, at_ms, video_id] = version, deleted
    live = [row for row in tables.scan(VIDEOS) if not row.deleted]
    assert [row.version for row in live] == [
        version for _, (version, deleted) in sorted(newest.items()) if not deleted
    ]
    assert all(row.values["title"] == f"{row.version}" for row in live)
