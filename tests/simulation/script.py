"""What happens from outside in every simulated run: uploads that go well and badly, edits, views.

A fact has a logical time and is on the log before anything later is due, so what follows from all
facts is the same in every order in which steps see them.
"""

from dataclasses import dataclass, replace

from millrace.schemas.events import (
    BlockRequested,
    ClientEvent,
    DeleteRequested,
    EditRequested,
    Event,
    PlaybackReported,
    RestoreRequested,
    UploadFinished,
)
from millrace.schemas.topics import (
    COMMANDS,
    OBJECT_NOTIFICATIONS,
    PLAYBACK_EVENTS,
    UPLOADS,
    Topic,
)
from millrace.streams.embedded.driver import START_MS
from tests.builders import make_upload_started
from tests.fakes import BYTES_A_SECOND, notification

# Three chunks, so that they can come in disorder.
SECONDS = 18
SIZE = SECONDS * BYTES_A_SECOND
EXPIRY_MS = 10 * 60_000
HOUR_MS = 3_600_000
HOURS_26_MS = 26 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact from outside; raw facts are bytes of a topic that is not ours."""

    topic: Topic
    event: Event | bytes
    at_ms: int
    key: bytes


def fact(topic: Topic, event: Event, at_ms: int) -> Fact:
    return Fact(topic, event, at_ms, topic.key(event))


def upload(video: str, at_ms: int, priority: str = "normal") -> Fact:
    started = make_upload_started(
        video_id=video,
        upload_id=f"{video}-upload",
        creator_id="ada",
        title=f"Title of {video}",
        size_bytes=SIZE,
        priority=priority,
        object_key=f"originals/{video}/{video}-upload",
        multipart_id=f"{video}-parts",
        expires_at_ms=at_ms + EXPIRY_MS,
    )
    return fact(UPLOADS, started, at_ms)


def finished(video: str, at_ms: int, size: int = SIZE) -> Fact:
    upload_id = f"{video}-upload"
    event = UploadFinished(video, upload_id, f"originals/{video}/{upload_id}", size, "etag")
    return fact(UPLOADS, event, at_ms)


def notified(video: str, at_ms: int, size: int = SIZE) -> Fact:
    body = notification(f"originals/{video}/{video}-upload", size)
    return Fact(OBJECT_NOTIFICATIONS, body, at_ms, video.encode())


def played(video: str, viewer: str, at_ms: int, watched: tuple[int, ...]) -> list[Fact]:
    """Reports of one session, two events a batch, the second batch repeating the first's last."""
    session = f"{viewer}-{at_ms}"
    events = [
        ClientEvent(
            event_id=f"{session}-{number}",
            video_id=video,
            viewer_id=viewer,
            session_id=session,
            kind="progress",
            position_ms=watched_ms,
            watched_ms=watched_ms,
            client_at_ms=at_ms + 1_000 * number,
            duration_ms=1_000 * SECONDS,
        )
        for number, watched_ms in enumerate(watched)
    ]
    return [
        fact(PLAYBACK_EVENTS, PlaybackReported(tuple(batch)), at_ms + 1_000 * number)
        for number, batch in enumerate((events[:2], events[1:]))
    ]


def first_day() -> list[Fact]:
    """Two uploads that go well, one that never comes, one of another size than announced."""
    at_ms = START_MS
    return [
        upload("rye", at_ms),
        finished("rye", at_ms + 60_000),
        notified("rye", at_ms + 60_001),
        upload("oat", at_ms + 5, "urgent"),
        notified("oat", at_ms + 30_000),
        finished("oat", at_ms + 35_000),
        upload("lost", at_ms + 10),
        upload("short", at_ms + 20),
        finished("short", at_ms + 40_000, SIZE - 1),
    ]


def second_day() -> list[Fact]:
    """Views that count and do not, edits, a block, and a deletion, of videos that are READY."""
    at_ms = START_MS + HOURS_26_MS
    edited = EditRequested("rye", "ada", "Rye, again", None, ("bread",), None)
    return [
        *played("rye", "ann", at_ms, (3_000, 8_000, 15_000)),
        *played("rye", "bob", at_ms + 10, (1_000, 2_000, 3_000)),
        *played("oat", "ann", at_ms + 20, (9_000, 18_000, 18_000)),
        fact(COMMANDS, edited, at_ms + 30),
        fact(COMMANDS, BlockRequested("rye", "moderator", "loud"), at_ms + 40),
        fact(COMMANDS, RestoreRequested("rye", "moderator", "not loud"), at_ms + 50),
        fact(COMMANDS, DeleteRequested("oat", "ada"), at_ms + 60),
    ]


def third_day() -> list[Fact]:
    """After the sessions ended: reports that are late, and others that were reported before."""
    at_ms = START_MS + HOURS_26_MS
    again = played("rye", "ann", at_ms, (3_000, 8_000, 15_000))
    longer = played("rye", "ann", at_ms, (3_000, 8_000, 15_000, 16_000, 17_000))
    late = [replace(one, at_ms=one.at_ms + HOUR_MS) for one in (*again, *longer)]
    return [*late, *played("rye", "bob", at_ms + HOUR_MS, (12_000, 18_000, 18_000))]


# What is told, and the hours after the start at which everything about it is over.
DAYS = ((first_day, 26), (second_day, 27), (third_day, 54))
