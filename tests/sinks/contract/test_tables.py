"""What `Tables` promises of its writes, over every implementation."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millrace.sinks.ports import Row, Tables, Version
from millrace.sinks.ports.tables import (
    GENERATION_MAX,
    OFFSET_MAX,
)
from tests.sinks.contract.rows import SESSIONS, VIDEOS, make_row, title
from tests.sinks.door_client import Clock


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
