"""What `Tables` promises of pages, scans and digests, over every implementation."""

import pytest

from millrace.sinks.ports import Row, Tables, Version
from tests.sinks.contract.rows import SESSIONS, VIDEOS, make_row
from tests.sinks.door_client import Clock


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
