"""What the directory store does beyond its port: notifications, sweeping, lost and linked files."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.sinks.directory_objects import SWEEP_BLOB_AGE_MS, DirectoryObjects
from millrace.sinks.ports import NoSuchUpload, NotFound, StoreBusy
from tests.sinks.door_client import OpenStore, open_store, send

KEY = "originals/v1/u1"
DAY_MS = 86_400_000


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenStore]:
    with open_store(tmp_path / "store") as opened:
        yield opened


def files(opened: OpenStore) -> list[Path]:
    return [path for path in (opened.root / "blobs").rglob("*") if path.is_file()]


def complete(opened: OpenStore, store: DirectoryObjects, key: str = KEY) -> None:
    upload = store.start(key)
    etag = send("PUT", opened.part_url(key, upload, 5), b"bytes").etag
    store.complete(key, upload, {1: etag})


def test_a_completed_upload_is_notified_in_s3s_form(opened: OpenStore) -> None:
    complete(opened, opened.store, "originals/v1/u+1")
    (notification,) = opened.notified
    (record,) = notification["Records"]
    assert record["eventName"] == "ObjectCreated:CompleteMultipartUpload"
    assert record["eventTime"] == "2027-01-15T08:00:00.000Z"
    assert record["s3"]["bucket"]["name"] == "millrace"
    assert record["s3"]["object"]["key"] == "originals/v1/u%2B1"
    assert record["s3"]["object"]["size"] == 5
    assert record["s3"]["object"]["eTag"].endswith("-1")


def test_a_notification_that_could_not_be_taken_is_offered_again(opened: OpenStore) -> None:
    taken: list[dict[str, Any]] = []
    busy = threading.Event()
    busy.set()

    def notify(event: dict[str, Any]) -> None:
        if busy.is_set():
            raise StoreBusy("the log")
        taken.append(event)

    store = DirectoryObjects(opened.root, opened.signer, opened.clock.now_ms, notify)
    complete(opened, store)
    assert store.head(KEY) is not None
    with pytest.raises(StoreBusy):
        store.deliver_notifications()
    busy.clear()
    assert store.deliver_notifications() == 1
    assert store.deliver_notifications() == 0
    assert len(taken) == 1
    store.close()


def test_replaced_deleted_and_joined_bytes_leave_no_files(opened: OpenStore) -> None:
    store = opened.store
    complete(opened, store)
    complete(opened, store)
    store.put_bytes("a", b"1")
    store.put_bytes("a", b"2")
    store.copy("a", "b")
    upload = store.start(KEY)
    send("PUT", opened.part_url(KEY, upload, 3), b"old")
    send("PUT", opened.part_url(KEY, upload, 3), b"new")
    assert len(files(opened)) == 4
    store.abort(KEY, upload)
    store.delete("a")
    store.delete_prefix("originals/")
    assert len(files(opened)) == 1
    assert store.read("b") == b"2"


@pytest.mark.parametrize("ended", ["completed", "aborted"])
def test_a_part_that_arrives_after_its_upload_ended_is_not_kept(
    opened: OpenStore, ended: str
) -> None:
    store = opened.store
    upload = store.start(KEY)
    etag = send("PUT", opened.part_url(KEY, upload, 5), b"bytes").etag
    late = store.open_part(KEY, upload, 2, with_sha256=False)
    late.write(b"late")
    if ended == "completed":
        store.complete(KEY, upload, {1: etag})
    else:
        store.abort(KEY, upload)
    with pytest.raises(NoSuchUpload):
        store.keep_part(KEY, upload, 2, late)
    assert len(files(opened)) == (1 if ended == "completed" else 0)


def test_a_sweep_takes_what_nothing_names_and_leaves_what_is_new(opened: OpenStore) -> None:
    store = opened.store
    opened.clock.at_ms = int(opened.root.stat().st_mtime * 1000)
    store.put_bytes("kept", b"kept")
    upload = store.start(KEY)
    send("PUT", opened.part_url(KEY, upload, 4), b"part")
    (opened.root / "blobs" / "ab" / "abcdef").write_bytes(b"left by kill -9")
    assert store.sweep() == 0
    opened.clock.at_ms += SWEEP_BLOB_AGE_MS + 60_000
    assert store.sweep() == 1
    assert store.read("kept") == b"kept"
    assert len(store.list_parts(KEY, upload)) == 1
    opened.clock.at_ms += 8 * DAY_MS
    store.sweep()
    assert [path.read_bytes() for path in files(opened)] == [b"kept"]


def test_an_upload_that_its_session_may_still_finish_is_not_swept(opened: OpenStore) -> None:
    store = DirectoryObjects(
        opened.root, opened.signer, opened.clock.now_ms, upload_age_ms_max=30 * DAY_MS
    )
    upload = store.start(KEY)
    opened.clock.at_ms += 29 * DAY_MS
    store.sweep()
    assert store.list_parts(KEY, upload) == ()
    opened.clock.at_ms += 2 * DAY_MS
    store.sweep()
    with pytest.raises(NoSuchUpload):
        store.list_parts(KEY, upload)
    store.close()


def test_an_object_whose_bytes_are_lost_is_not_said_to_be_there(opened: OpenStore) -> None:
    store = opened.store
    store.put_bytes("gone", b"bytes")
    store.put_bytes("short", b"bytes")
    for path in files(opened):
        path.chmod(0o644)
    gone, short = sorted(files(opened))
    gone.unlink()
    os.truncate(short, 2)
    for key in ("gone", "short"):
        assert store.head(key) is None
        with pytest.raises(NotFound):
            store.read(key)
        answer = send("GET", opened.object_url(key))
        assert (answer.status, answer.code) == (404, "NoSuchKey")
        store.put_bytes(key, b"again")
        assert store.read(key) == b"again"


def test_a_download_is_the_stored_file_itself(opened: OpenStore, tmp_path: Path) -> None:
    opened.store.put_bytes("a", b"bytes")
    opened.store.download("a", tmp_path / "a")
    (blob,) = files(opened)
    assert (tmp_path / "a").samefile(blob)
    assert (tmp_path / "a").stat().st_mode & 0o222 == 0


def test_a_download_to_another_file_system_is_a_copy(opened: OpenStore) -> None:
    away = Path("/dev/shm") / f"millrace-{os.getpid()}"
    if not away.parent.is_dir() or away.parent.stat().st_dev == opened.root.stat().st_dev:
        pytest.skip("no second file system here")
    opened.store.put_bytes("a", b"bytes")
    try:
        opened.store.download("a", away)
        assert away.read_bytes() == b"bytes"
        with pytest.raises(FileExistsError):
            opened.store.download("a", away)
    finally:
        away.unlink(missing_ok=True)


def test_readers_meet_whole_objects_while_they_are_replaced(opened: OpenStore) -> None:
    store = opened.store
    bodies = [bytes([n]) * 50_000 for n in range(4)]
    store.put_bytes("playlist", bodies[0])
    stop = threading.Event()
    torn: list[bytes] = []

    def read() -> None:
        while not stop.is_set():
            if (body := store.read("playlist")) not in bodies:
                torn.append(body)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(60):
        store.put_bytes("playlist", bodies[n % 4])
    stop.set()
    for reader in readers:
        reader.join()
    assert torn == []
