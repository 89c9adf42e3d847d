"""publishing: the states of OPS-1, playlists in two steps, and commands answered by facts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.processors.emit import Emit
from millrace.processors.media.failures import MediaFailed
from millrace.schemas import events as e
from millrace.schemas import topics as t
from millrace.schemas.envelope import Recorded
from millrace.schemas.states import MOVES, may_move
from millrace.sinks.ports import Objects
from millrace.streams import outputs
from millrace.streams.declarations import WorkPorts
from millrace.streams.publishing import do_delete
from tests import fakes
from tests.builders import DAY_MS, VIDEO
from tests.sinks.door_client import open_store
from tests.streams.world import World


def stuck(_recorded: Recorded[Any], _ports: WorkPorts) -> Iterator[Emit]:
    """A work that is never done and says nothing: its request stays open."""
    yield from ()


def broken(_recorded: Recorded[Any], _ports: WorkPorts) -> Iterator[Emit]:
    raise MediaFailed("broken", "the worker fell over")
    yield


def test_a_video_goes_through_its_states_in_order_and_each_is_said_once() -> None:
    world = World()
    world.upload(seconds=40)
    names = [name for name in world.names(t.PUBLICATIONS) if name.startswith("Video")]
    assert names == [
        "VideoUploading",
        "VideoUploaded",
        "VideoProcessing",
        "VideoPlayable",
        "VideoPublished",
    ]


def test_playable_is_said_after_playlists_were_written_and_before_every_rung_is_there() -> None:
    world = World()
    world.upload(seconds=40)
    names = world.names(t.PUBLICATIONS)
    assert names.index("PlaylistsWritten") < names.index("VideoPlayable")
    first, *_, last = world.said(t.PACKAGE_REQUESTS)
    assert (first.final, [one.name for one in first.video]) == (False, ["240p"])
    assert (last.final, len(last.video)) == (True, 4)
    assert [one.sequence for one in world.said(t.PACKAGE_REQUESTS)] == [1, 2, 3]


def test_a_video_without_playlists_is_not_ready() -> None:
    world = World(package=stuck)
    world.upload()
    document = world.document()
    assert document["state"] == "PROCESSING"
    assert world.waits() == {"publishing": "playlists to be written"}


def test_a_video_without_its_sound_is_not_playable() -> None:
    world = World(audio=stuck)
    world.upload()
    assert not world.said(t.PACKAGE_REQUESTS)
    assert world.document()["state"] == "PROCESSING"
    assert world.waits()["publishing"] == "the sound"


def noting(recorded: Recorded[Any], ports: WorkPorts) -> Iterator[Emit]:
    """An encoder that stores nothing but its notes and its chunk again, as if cut had."""
    request = recorded.event
    ports.objects.put_bytes(request.object_key, b"chunk")
    for emit in fakes.encode(recorded, ports):
        if isinstance(made := emit.event, e.ChunkEncoded):
            key = outputs.note_key(made.video_id, made.rung, made.recipe, str(made.number))
            outputs.note(ports.objects, key, made)
        yield emit


def left(objects: Objects) -> set[str]:
    """The kinds of objects that stand in the store."""
    return {stat.key.split("/")[0] for stat in objects.list("", "", 1_000)}


def test_chunks_and_notes_are_removed_once_the_video_is_published(tmp_path: Path) -> None:
    with open_store(tmp_path) as opened:
        world = World(objects=opened.store, encode=noting, delete=do_delete)
        world.upload()
        assert world.document()["complete"]
        assert left(opened.store) == set()


def test_a_failed_video_keeps_its_notes_for_a_retry_until_it_is_deleted(tmp_path: Path) -> None:
    with open_store(tmp_path) as opened:
        does = {"encode": noting, "package": broken, "delete": do_delete}
        world = World(objects=opened.store, **does)
        world.upload()
        world.driver.advance(60_000)
        assert world.document()["state"] == "FAILED"
        assert left(opened.store) == {"made"}
        world.ask(e.DeleteRequested(VIDEO, "user"))
        assert left(opened.store) == set()


def test_packaging_that_fails_three_times_fails_the_video_and_a_retry_mends_it() -> None:
    world = World(package=broken)
    world.upload()
    world.driver.advance(60_000)
    document = world.document()
    assert (document["state"], document["error_code"]) == ("FAILED", "broken")
    assert len(world.said(t.PACKAGE_REQUESTS)) == 3
    world.driver.settle()


def test_a_video_that_nobody_processes_fails_after_a_day_and_may_be_retried() -> None:
    world = World(probe=stuck)
    world.upload()
    assert world.waits()["sources"] == "probe"
    world.driver.advance(DAY_MS)
    document = world.document()
    assert (document["state"], document["error_code"]) == ("FAILED", "processing_timed_out")
    assert world.waits() == {}


def test_a_ready_video_whose_last_rungs_do_not_come_is_published_with_those_that_came() -> None:
    def lowest_only(recorded: Recorded[Any], ports: WorkPorts) -> Iterator[Emit]:
        if recorded.event.rungs[0].group == 0:
            yield from fakes.encode(recorded, ports)

    world = World(encode=lowest_only)
    world.upload()
    assert world.document()["state"] == "READY"
    assert not world.document()["complete"]
    world.driver.advance(2 * DAY_MS)
    document = world.document()
    assert (document["state"], document["complete"]) == ("READY", True)
    assert document["dropped"] == ["360p", "480p", "720p"]


def test_cancel_while_processing_stops_the_work_and_removes_the_chunks() -> None:
    world = World(encode=stuck)
    world.upload()
    (failed,) = world.ask(e.CancelRequested(VIDEO, "user"))
    assert isinstance(failed, e.VideoFailed)
    assert failed.code == "cancelled"
    assert world.document()["state"] == "FAILED"
    assert world.waits() == {}


def test_cancel_while_uploading_aborts_the_multipart_upload() -> None:
    world = World()
    world.announce()
    world.ask(e.CancelRequested(VIDEO, "user"))
    (gone,) = world.said(t.DELETION_REQUESTS)
    assert gone.multipart_id == "multipart"
    assert world.waits() == {}


@pytest.mark.parametrize(
    "command",
    [
        e.CancelRequested(VIDEO, "user"),
        e.RetryRequested(VIDEO, "user"),
        e.RestoreRequested(VIDEO, "user", "why not"),
    ],
)
def test_a_command_that_does_not_fit_a_ready_video_is_refused_and_changes_nothing(
    command: e.Event,
) -> None:
    world = World()
    world.upload()
    before = world.document()
    (refused,) = world.ask(command)
    assert isinstance(refused, e.CommandRefused)
    assert refused.command == type(command).__name__
    assert {**world.document(), "positions": ()} == {**before, "positions": ()}


def test_a_command_for_a_video_that_is_not_known_is_refused() -> None:
    world = World()
    (refused,) = world.ask(e.DeleteRequested("f" * 32, "user"))
    assert isinstance(refused, e.CommandRefused)


def test_an_edit_keeps_what_it_does_not_name() -> None:
    world = World()
    world.upload()
    world.ask(e.EditRequested(VIDEO, "user", title="Another"))
    world.ask(e.EditRequested(VIDEO, "user", visibility="private"))
    document = world.document()
    assert (document["title"], document["visibility"]) == ("Another", "private")
    assert not document["listed"]


def test_a_blocked_video_goes_back_to_where_it_was() -> None:
    world = World()
    world.upload()
    world.ask(e.BlockRequested(VIDEO, "moderator", "a reason"))
    assert world.document()["state"] == "BLOCKED"
    assert world.document()["block_reason"] == "a reason"
    world.ask(e.RestoreRequested(VIDEO, "moderator", "a mistake"))
    assert world.document()["state"] == "READY"


def test_a_deleted_video_takes_its_objects_with_it_but_not_the_original() -> None:
    world = World()
    world.upload()
    world.ask(e.DeleteRequested(VIDEO, "user"))
    assert world.document()["state"] == "DELETED"
    prefixes = [prefix for one in world.said(t.DELETION_REQUESTS) for prefix in one.prefixes]
    assert {f"videos/{VIDEO}/", f"made/{VIDEO}/"} <= set(prefixes)
    assert not any(prefix.startswith("originals/") for prefix in prefixes)
    (refused,) = world.ask(e.EditRequested(VIDEO, "user", title="Too late"))
    assert isinstance(refused, e.CommandRefused)


def test_the_states_are_those_of_the_promise_and_the_ends_are_ends() -> None:
    assert set(MOVES) == {state for after in MOVES.values() for state in after} | {"UPLOADING"}
    assert not MOVES["DELETED"]
    assert not MOVES["EXPIRED"]
    assert not may_move("READY", "FAILED")
