"""What notifications missed is told again, what nobody ends is thrown away, the rest stays."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millrace.deploy.reconciling import GRACE_MS, MARGIN_MS, Found, find, mend
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import SourceStored, UploadExpired, UploadStarted
from millrace.sinks.ports import Row, Version
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.sinks.tables import TABLES, UPLOAD_ENDS, UPLOADS
from millrace.streams import rows
from millrace.streams.uploads import noticed
from tests.builders import make_upload_started
from tests.sinks.door_client import OpenStore, open_store

HOUR_MS = 3_600_000
SESSION_MS = 24 * HOUR_MS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OpenStore]:
    with open_store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def tables(store: OpenStore) -> Iterator[SqliteTables]:
    tables = SqliteTables(None, store.clock.now_ms)
    tables.create(TABLES)
    yield tables
    tables.close()


def said(tables: SqliteTables, event: Any, offset: int = 0) -> None:
    """A fact, as its projections write it."""
    recorded = Recorded(event, "id", 0, b"", "uploads", 0, offset)
    tables.upsert(UPLOADS, [numbered(row) for row in rows.uploads(recorded)])
    tables.upsert(UPLOAD_ENDS, [numbered(row) for row in rows.upload_ends(recorded)])


def numbered(row: Row) -> Row:
    return replace(row, version=Version(1, row.version.offset))


def announced(store: OpenStore, tables: SqliteTables, name: str) -> UploadStarted:
    key = f"originals/video-{name}/{name}"
    started = make_upload_started(
        video_id=f"video-{name}",
        upload_id=name,
        object_key=key,
        multipart_id=store.store.start(key),
        size_bytes=5,
    )
    said(tables, started)
    return started


def look(store: OpenStore, tables: SqliteTables, since_ms: int = 0) -> Found:
    return find(store.store, tables, store.clock.at_ms, SESSION_MS, since_ms)


def ended(started: UploadStarted) -> SourceStored:
    return SourceStored(
        video_id=started.video_id,
        upload_id=started.upload_id,
        creator_id="ann",
        object_key=started.object_key,
        size_bytes=5,
        etag="etag",
        priority="normal",
    )


def test_an_original_that_a_session_waits_for_is_told_of_again(
    store: OpenStore, tables: SqliteTables
) -> None:
    missed, heard = (announced(store, tables, name) for name in ("missed", "heard"))
    for started in (missed, heard):
        store.store.abort(started.object_key, started.multipart_id)
        store.store.put_bytes(started.object_key, b"bytes")
    said(tables, ended(heard), 1)
    store.clock.at_ms += GRACE_MS + 1
    found = look(store, tables)
    assert [each.key for each in found.missed] == [missed.object_key]
    assert (found.unknown, found.left) == ((), ())
    hints: list[dict[str, Any]] = []
    mend(found, store.store, hints.append)
    assert [noticed(json.dumps(hint).encode()) for hint in hints] == [[missed.object_key]]


def test_what_may_still_be_on_its_way_is_left_alone(store: OpenStore, tables: SqliteTables) -> None:
    started = announced(store, tables, "young")
    store.store.put_bytes(started.object_key, b"bytes")
    store.store.start("originals/video-other/other")
    store.clock.at_ms += GRACE_MS - 1
    assert look(store, tables) == Found((), (), ())


def test_an_original_that_nobody_announced_is_named_and_stays(
    store: OpenStore, tables: SqliteTables
) -> None:
    store.store.put_bytes("originals/nobody/nobody", b"bytes")
    store.store.put_bytes("videos/nobody/a.m4s", b"bytes")
    store.clock.at_ms += GRACE_MS + 1
    found = look(store, tables)
    assert [each.key for each in found.unknown] == ["originals/nobody/nobody"]
    hints: list[dict[str, Any]] = []
    mend(found, store.store, hints.append)
    assert hints == []
    assert store.store.head("originals/nobody/nobody") is not None


def test_originals_older_than_was_asked_are_not_looked_at(
    store: OpenStore, tables: SqliteTables
) -> None:
    store.store.put_bytes("originals/old/old", b"")
    store.clock.at_ms += HOUR_MS
    store.store.put_bytes("originals/new/new", b"")
    store.clock.at_ms += HOUR_MS
    found = look(store, tables, since_ms=store.clock.at_ms - HOUR_MS)
    assert [each.key for each in found.unknown] == ["originals/new/new"]


def test_uploads_that_nobody_ends_are_thrown_away_and_no_others(
    store: OpenStore, tables: SqliteTables
) -> None:
    going_on, expired = (announced(store, tables, name) for name in ("going-on", "expired"))
    said(tables, UploadExpired(expired.video_id, expired.upload_id), 1)
    # Another gateway began an upload of the same session, and was killed before it gave it back.
    second = store.store.start(going_on.object_key)
    unknown = store.store.start("originals/video-unknown/unknown")
    store.store.start("other/unknown")
    store.clock.at_ms += GRACE_MS + 1
    found = look(store, tables)
    assert {each.multipart_id for each in found.left} == {expired.multipart_id, second}
    store.clock.at_ms += SESSION_MS + MARGIN_MS
    found = look(store, tables)
    assert {each.multipart_id for each in found.left} == {expired.multipart_id, second, unknown}
    mend(found, store.store, lambda _hint: None)
    mend(found, store.store, lambda _hint: None)
    open_still = {each.key for each in store.store.uploads()}
    assert open_still == {going_on.object_key, "other/unknown"}
    assert store.store.list_parts(going_on.object_key, going_on.multipart_id) == ()
