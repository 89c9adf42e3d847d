"""Facts that gateways append may stand on the log twice, under one id: every fold counts the first.

Each case is a story; at every point of it each record so far comes again, at another offset, and
must neither change the state nor be answered.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from millrace.processors import catalog, publishing, uploads, views
from millrace.schemas import events as e
from millrace.schemas import topics as t
from millrace.schemas.envelope import Recorded
from millrace.streams import rows
from millrace.streams.projected import versioned
from millrace.streams.topologies import TOPOLOGIES
from tests.builders import UPLOAD, VIDEO, make_upload_started

KEY = f"originals/{VIDEO}/{UPLOAD}"
HOUR_MS = 3_600_000
Fold = Callable[[Any, Recorded[Any]], tuple[Any, list[Any]]]


def make_started(**overrides: Any) -> e.UploadStarted:
    small = make_upload_started(size_bytes=10, part_size_bytes=10, expires_at_ms=1_000_000)
    return replace(small, **overrides)


FINISHED = e.UploadFinished(VIDEO, UPLOAD, KEY, 10, "etag")
SEEN = e.ObjectSeen(VIDEO, UPLOAD, KEY, 10, "etag")
EXPIRY = e.DeadlinePassed("uploads", "uploads", VIDEO.encode(), "expiry", 1_000_000)
STORED = e.SourceStored(
    video_id=VIDEO,
    upload_id=UPLOAD,
    creator_id="creator",
    object_key=KEY,
    size_bytes=10,
    etag="etag",
    sha256=None,
    priority="normal",
)


def told(events: list[Any], topic: t.Topic) -> Iterator[Recorded[Any]]:
    """The events as records, a second apart."""
    for offset, event in enumerate(events):
        id_, at_ms = f"id-{offset}", 1_000 * (offset + 1)
        yield Recorded(event, id_, at_ms, VIDEO.encode(), topic.name, 0, offset)


def tell(fold: Fold, events: list[Any], topic: t.Topic = t.UPLOADS) -> tuple[Any, list[Any]]:
    """Folds the story with every repeat in it. Returns the state, and all that was emitted."""
    state: Any = None
    emitted: list[Any] = []
    before: list[Recorded[Any]] = []
    for recorded in told(events, topic):
        state, emits = fold(state, recorded)
        emitted += emits
        if not isinstance(recorded.event, e.DeadlinePassed):
            # Timers and other folds' facts are written once, by transactions.
            before.append(recorded)
        for past in before:
            again = replace(past, offset=1_000 + recorded.offset)
            after, more = fold(state, again)
            assert more == [], f"{again.event} was answered again after {recorded.event}"
            assert after == state, f"{again.event} changed the state after {recorded.event}"
    return state, emitted


@pytest.mark.parametrize(
    "story",
    [
        [make_started(), FINISHED, SEEN],
        [make_started(), SEEN, FINISHED],
        [make_started(), EXPIRY],
        [make_started(size_bytes=11), FINISHED],
        [make_started(), make_started(multipart_id="another"), FINISHED],
        [make_started(), make_started(upload_id="c" * 32, object_key="another"), FINISHED],
    ],
)
def test_uploads_decides_once(story: list[Any]) -> None:
    _, emitted = tell(uploads.apply, story)
    names = [emit.event.NAME for emit in emitted]
    assert len(names) == len(set(names))
    for stored in (emit.event for emit in emitted if isinstance(emit.event, e.SourceStored)):
        assert stored == STORED


def test_the_object_of_another_body_under_the_same_key_is_not_this_uploads() -> None:
    other = replace(SEEN, upload_id="c" * 32, object_key="another")
    _, emitted = tell(uploads.apply, [make_started(), other])
    assert emitted == []


def test_an_object_that_came_too_late_is_deleted_however_often_it_is_said() -> None:
    state, _ = tell(uploads.apply, [make_started(), EXPIRY])
    for number in range(2):
        recorded = Recorded(FINISHED, "id", 5_000, VIDEO.encode(), "uploads", 0, 10 + number)
        after, emits = uploads.apply(state, recorded)
        # The same deletion again removes nothing more.
        gone = [(type(emit.event), getattr(emit.event, "prefixes", ())) for emit in emits]
        assert (after, gone) == (state, [(e.DeletionRequested, (KEY,))])


def test_publishing_hears_of_an_announcement_once_and_keeps_the_first() -> None:
    other = make_started(upload_id="c" * 32, multipart_id="another")
    state, emitted = tell(publishing.apply, [make_started(), other, STORED])
    assert [emit.event.NAME for emit in emitted] == ["VideoUploading", "VideoUploaded"]
    assert state.upload_id == UPLOAD
    assert {emit.event.upload_id for emit in emitted} == {UPLOAD}


CANCEL = e.CancelRequested(VIDEO, "somebody")
RETRY = e.RetryRequested(VIDEO, "somebody")
DELETE = e.DeleteRequested(VIDEO, "somebody")
BLOCK = e.BlockRequested(VIDEO, "moderator", "why")
RESTORE = e.RestoreRequested(VIDEO, "moderator", "because")


def make_edit(title: str) -> e.EditRequested:
    return e.EditRequested(VIDEO, "somebody", title, None, None, None)


@pytest.mark.parametrize(
    ("commands", "facts"),
    [
        ([make_edit("one"), make_edit("two")], ["VideoEdited", "VideoEdited"]),
        ([BLOCK, RESTORE, BLOCK], ["VideoBlocked", "VideoRestored", "VideoBlocked"]),
        ([CANCEL, RETRY, CANCEL, RETRY], ["VideoFailed", "VideoRetried"] * 2),
        ([RETRY, DELETE, DELETE], ["CommandRefused", "VideoDeleted", "CommandRefused"]),
    ],
)
def test_publishing_answers_a_command_once(commands: list[Any], facts: list[str]) -> None:
    _, emitted = tell(publishing.apply, [make_started(), STORED, *commands])
    answers = [emit.event.NAME for emit in emitted if emit.topic is t.PUBLICATIONS]
    assert answers[2:] == facts


def test_publishing_remembers_so_many_commands_and_no_more() -> None:
    edits = [make_edit(str(number)) for number in range(50)]
    state = None
    for recorded in told([make_started(), *edits], t.COMMANDS):
        state, _ = publishing.apply(state, recorded)
    assert state is not None
    assert len(state.answered) == 16


def test_the_catalog_keeps_the_first_announcement() -> None:
    other = make_started(multipart_id="another", title="another")
    state, emitted = tell(catalog.apply, [make_started(), other])
    assert [emit.event.title for emit in emitted] == ["A title"]
    assert state.started == make_started()


def make_client_event(number: int, **overrides: Any) -> e.ClientEvent:
    event = e.ClientEvent(
        event_id=str(number),
        video_id=VIDEO,
        viewer_id="viewer",
        session_id="session",
        kind="progress",
        position_ms=0,
        watched_ms=10_000 * number,
        client_at_ms=1_000 * number,
        duration_ms=600_000,
    )
    return replace(event, **overrides)


SILENCE = e.DeadlinePassed("views", "views", b"", "silence", HOUR_MS)


def by_parts(state: Any, recorded: Recorded[Any]) -> tuple[Any, list[Any]]:
    """The fold of views over a whole record: its parts in order."""
    if isinstance(recorded.event, e.DeadlinePassed):
        return views.apply(state, recorded)
    emits: list[Any] = []
    for _, event in views.explode(recorded):
        state, more = views.apply(state, replace(recorded, event=event))
        emits += more
    return state, emits


@pytest.mark.parametrize("silence", [[], [SILENCE]])
def test_views_counts_a_batch_of_reports_once(silence: list[Any]) -> None:
    batches = [
        e.PlaybackReported((make_client_event(1), make_client_event(2))),
        e.PlaybackReported((make_client_event(3), make_client_event(4))),
        e.PlaybackReported((make_client_event(5),)),
    ]
    _, emitted = tell(by_parts, [*batches, *silence], t.PLAYBACK_EVENTS)
    assert [emit.event.NAME for emit in emitted] == ["ViewCounted"]


def test_a_report_after_the_end_is_late_once() -> None:
    first = e.PlaybackReported((make_client_event(1),))
    late = e.PlaybackReported((make_client_event(2),))
    _, emitted = tell(by_parts, [first, SILENCE, late], t.PLAYBACK_EVENTS)
    assert [emit.event.NAME for emit in emitted] == ["ViewRejected", "LateView"]


def versions(rows: Callable[[Recorded[Any]], list[Any]], events: list[Any]) -> list[Any]:
    """The rows of one key as the engines version them, the one that stays last."""
    every = [project for topology in TOPOLOGIES for project in topology.projects]
    (project,) = [project for project in every if project.rows is rows]
    made = [row for recorded in told(events, t.UPLOADS) for row in versioned(project, recorded)]
    return sorted(made, key=lambda row: row.version)


def test_the_row_of_an_upload_is_that_of_its_first_announcement_as_in_the_fold() -> None:
    twice = [make_started(), make_started(multipart_id="another")]
    *_, stays = versions(rows.uploads, twice)
    state, _ = tell(uploads.apply, twice)
    assert stays.values["started"] == state.started.as_record()


def test_a_profile_that_is_said_again_is_the_same_row() -> None:
    said = e.ProfileEdited("user", "name", "")
    first, again = versions(rows.profiles, [said, said])
    assert first.values == again.values
