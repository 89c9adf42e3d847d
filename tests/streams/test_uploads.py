"""uploads: one stored original, whichever word of it comes first, or nothing left behind."""

from millrace.schemas import events as e
from millrace.schemas import topics as t
from tests.builders import DAY_MS, UPLOAD, VIDEO
from tests.streams.world import World


def test_completion_and_five_notifications_start_one_pipeline() -> None:
    world = World()
    started = world.announce()
    for _ in range(3):
        world.notify(started)
    world.finish(started)
    for _ in range(2):
        world.notify(started)
    world.driver.settle()
    assert len(world.said(t.UPLOADS, e.SourceStored)) == 1
    assert len(world.said(t.SOURCE_REQUESTS, e.ProbeRequested)) == 1
    assert world.document()["complete"]


def test_a_notification_alone_is_enough() -> None:
    world = World()
    world.notify(world.announce())
    world.driver.settle()
    assert world.document()["state"] == "READY"


def test_a_notification_for_nobodys_object_changes_nothing() -> None:
    world = World()
    body = b'{"Event": "s3:TestEvent"}'
    world.driver.pipe_bytes(t.OBJECT_NOTIFICATIONS, b"x", body)
    world.upload()
    assert world.document()["state"] == "READY"


def test_a_session_that_is_not_completed_expires_and_leaves_nothing() -> None:
    world = World()
    world.announce()
    world.driver.advance(DAY_MS - 1)
    assert world.document()["state"] == "UPLOADING"
    world.driver.advance(1)
    assert world.names(t.UPLOADS)[-1] == "UploadExpired"
    assert world.document()["state"] == "EXPIRED"
    (gone,) = world.said(t.DELETION_REQUESTS)
    assert (gone.multipart_id, gone.prefixes) == ("multipart", (f"originals/{VIDEO}/{UPLOAD}",))
    assert world.waits() == {}


def test_an_object_that_comes_after_the_session_expired_is_deleted() -> None:
    world = World()
    started = world.announce()
    world.driver.advance(DAY_MS)
    world.finish(started)
    world.driver.settle()
    assert not world.said(t.UPLOADS, e.SourceStored)
    assert len(world.said(t.DELETION_REQUESTS)) == 2
    assert world.document()["state"] == "EXPIRED"


def test_another_size_than_announced_is_refused_with_a_sentence() -> None:
    world = World()
    started = world.announce()
    world.finish(started, size_bytes=7)
    world.driver.settle()
    document = world.document()
    assert (document["state"], document["error_code"]) == ("FAILED", "size_mismatch")
    assert "7 bytes" in document["error_text"]


def test_a_completed_session_does_not_expire() -> None:
    world = World()
    world.upload()
    world.driver.advance(3 * DAY_MS)
    assert not world.said(t.UPLOADS, e.UploadExpired)
    assert world.document()["state"] == "READY"


def test_an_open_session_says_what_it_waits_for() -> None:
    world = World()
    world.announce()
    assert world.waits() == {"uploads": "the parts of the file"}
