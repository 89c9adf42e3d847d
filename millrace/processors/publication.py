"""The state that publishing keeps of a video, and the few things every part of it says."""

from dataclasses import dataclass, field, replace

from millrace.processors.emit import Deadline, Emit, Waiting
from millrace.processors.retries import GIVE_UP_MS
from millrace.schemas.events import (
    AudioSummary,
    DeletionRequested,
    Event,
    LadderPlanned,
    PlaylistRendition,
    RenditionSummary,
    VideoFailed,
)
from millrace.schemas.states import State, may_move
from millrace.schemas.topics import DELETION_REQUESTS, PUBLICATIONS


@dataclass(frozen=True, slots=True)
class Package:
    """A writing of playlists in hand, or waiting for its next attempt."""

    sequence: int
    attempt: int
    final: bool
    retry_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """A whole audio rendition: what playlists say of it, its durations packed (runs.pack)."""

    summary: AudioSummary
    rendition: PlaylistRendition
    packed: bytes


@dataclass(frozen=True, slots=True)
class Picture:
    """A rung so far: what playlists say of it, and how many segments it has without a hole."""

    rendition: PlaylistRendition
    segments: int


@dataclass(frozen=True, slots=True)
class Publication:
    """A video's life. state is OPS-1's, less BLOCKED, which lies over it while blocked is true.

    Durations are packed (runs.pack), and of all rungs once, since they show the same frames;
    refused and error are (code, text).
    """

    video_id: str
    upload_id: str
    since_ms: int
    state: State = "UPLOADING"
    epoch: int = 1
    registered: bool = False
    stored: bool = False
    blocked: bool = False
    announced: bool = False
    published: bool = False
    retryable: bool = False
    plan: LadderPlanned | None = None
    audio: dict[str, Sound] = field(default_factory=dict)
    video: dict[str, Picture] = field(default_factory=dict)
    packed: bytes = b""
    summaries: dict[str, RenditionSummary] = field(default_factory=dict)
    # Of rungs that were dropped: what is stored of them without a hole.
    partial: dict[str, RenditionSummary] = field(default_factory=dict)
    playable: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    refused: tuple[str, str, bool] | None = None
    error: tuple[str, str] = ("", "")
    sequence: int = 0
    grown: bool = False
    package: Package | None = None
    # Ids of the commands that were answered last.
    answered: tuple[str, ...] = ()


def said(event: Event) -> Emit:
    return Emit(PUBLICATIONS, event)


def shown_state(state: Publication) -> State:
    return "BLOCKED" if state.blocked else state.state


def fail(
    state: Publication, code: str, text: str, *, retryable: bool, at_ms: int
) -> tuple[Publication, list[Emit]]:
    """FAILED; what was encoded stays for a retry to reuse."""
    event = VideoFailed(state.video_id, state.epoch, code, text, retryable)
    state = moved(state, "FAILED", at_ms)
    return replace(state, retryable=retryable, package=None), [said(event)]


def moved(state: Publication, after: State, at_ms: int) -> Publication:
    """The one place where a state changes. A move that OPS-1 does not have is a bug."""
    assert may_move(state.state, after), f"{state.state} to {after}"
    return replace(state, state=after, since_ms=at_ms)


def forget(state: Publication, reason: str, prefixes: tuple[str, ...]) -> Emit:
    event = DeletionRequested(
        video_id=state.video_id,
        reason=reason,
        prefixes=prefixes,
        multipart_key=None,
        multipart_id=None,
    )
    return Emit(DELETION_REQUESTS, event)


def gave_up(state: Publication) -> bool:
    """True where a video with pictures has no rung left."""
    assert state.plan is not None
    names = {rung.name for rung in state.plan.rungs}
    return bool(names) and names <= set(state.dropped)


def unfinished(state: Publication) -> bool:
    return state.state in ("UPLOADED", "PROCESSING") or (
        state.state == "READY" and not state.published
    )


def deadline(state: Publication) -> Deadline | None:
    due = []
    if unfinished(state):
        due.append((state.since_ms + GIVE_UP_MS, "give-up"))
    if state.package and state.package.retry_at_ms is not None:
        due.append((state.package.retry_at_ms, "retry package"))
    if not due:
        return None
    at_ms, name = min(due)
    return Deadline(name, at_ms)


def waiting(state: Publication) -> Waiting | None:
    if not unfinished(state):
        return None
    if state.package:
        again = state.package.retry_at_ms is not None
        waits_for = "playlists to be written" + (" again after a failure" if again else "")
        following = "published" if state.package.final else "playable, and it grows"
    elif state.state == "UPLOADED":
        waits_for, following = "the probe and the plan of the ladder", "encoding starts"
    else:
        left = (
            sorted({rung.name for rung in state.plan.rungs} - set(state.summaries))
            if state.plan
            else []
        )
        waits_for = f"renditions: {', '.join(left) or 'none'}" if left else "the sound"
        following = "published" if state.announced else "playable with the first segments"
    return Waiting(
        video_id=state.video_id,
        waits_for=waits_for,
        since_ms=state.since_ms,
        holder="media workers",
        next=following,
    )
