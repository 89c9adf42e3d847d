"""Objects compared with the log (RPL-8): orphans, and what videos that ended left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from millrace.deploy.fsck import fsck
from millrace.schemas.events import (
    SourceStored,
    VideoDeleted,
    VideoFailed,
    VideoPublished,
    VideoRetried,
)
from millrace.sinks.directory_objects import DirectoryObjects
from millrace.sinks.signing import Signer, SigningKeys
from millrace.sinks.sqlite_tables import SqliteTables
from tests.gateway.memory_log import PARTITIONS, MemoryLog


def now_ms() -> int:
    return 1_800_000_000_000


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[DirectoryObjects]:
    signer = Signer(SigningKeys("one", {"one": b"k" * 32}), "http://here", now_ms)
    store = DirectoryObjects(tmp_path / "objects", signer, now_ms)
    yield store
    store.close()


@pytest.fixture
def log() -> MemoryLog:
    found = MemoryLog(SqliteTables(None, now_ms), now_ms)
    found.held = True
    return found


async def stored(log: MemoryLog, objects: DirectoryObjects, name: str) -> None:
    """A video whose original is there, with a chunk and a note of a work."""
    key = f"originals/{name}/up-{name}"
    stat = objects.put_bytes(key, name.encode())
    fact = SourceStored(
        video_id=name,
        upload_id=f"up-{name}",
        creator_id="ann",
        object_key=key,
        size_bytes=stat.size_bytes,
        etag=stat.etag,
        priority="normal",
    )
    await log.append("uploads", fact)
    objects.put_bytes(f"chunks/up-{name}/1/0.mkv", b"chunk")
    objects.put_bytes(f"made/{name}/240p/r/0", b"note")


async def test_what_is_left_behind_by_videos_that_ended_is_named(
    log: MemoryLog, objects: DirectoryObjects
) -> None:
    for name in ("deleted", "failed", "published", "retried", "working"):
        await stored(log, objects, name)
    failed = [VideoFailed(name, 1, "code", "text", True) for name in ("failed", "retried")]
    ended = VideoDeleted("deleted"), VideoPublished("published", 1, "", "", 1, (), (), ())
    for event in (*ended, *failed, VideoRetried("retried", 2)):
        await log.append("publications", event)
    report = await fsck(log, objects, PARTITIONS)
    assert (report["missing"], report["altered"], report["orphans"]) == ([], [], [])
    # The notes of a failed video are what a retry goes by.
    assert report["leaked"] == [
        "chunks/up-deleted/1/0.mkv",
        "chunks/up-failed/1/0.mkv",
        "chunks/up-published/1/0.mkv",
        "made/deleted/240p/r/0",
        "made/published/240p/r/0",
    ]


async def test_what_the_log_does_not_name_is_nobodys(
    log: MemoryLog, objects: DirectoryObjects
) -> None:
    await stored(log, objects, "one")
    objects.put_bytes("videos/one/240p/r/0.m4s", b"segment")
    objects.put_bytes("videos/one/master.m3u8", b"#EXTM3U")
    objects.put_bytes("images/nobody.jpg", b"image")
    objects.delete("originals/one/up-one")
    folder = "videos/two"
    published = VideoPublished("two", 1, f"{folder}/a/m.m3u8", "", 1, (), (), ())
    await log.append("publications", published)
    for key in (f"{folder}/a/m.m3u8", f"{folder}/a/240p.m3u8", f"{folder}/b/240p.m3u8"):
        objects.put_bytes(key, b"#EXTM3U")
    report = await fsck(log, objects, PARTITIONS)
    assert report["missing"] == ["originals/one/up-one"]
    assert report["orphans"] == [
        "videos/one/240p/r/0.m4s",
        "videos/one/master.m3u8",
        "videos/two/b/240p.m3u8",
        "images/nobody.jpg",
    ]
