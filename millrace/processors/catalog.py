"""Joins what is known of a video into one whole document, said again at every change.

Tables, feeds and searches are made from it. It carries no counter, and must never decide anything:
states are publishing's.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from millrace.processors.emit import Emit
from millrace.processors.ladder import display_size
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    ObjectsDeleted,
    PosterMade,
    SourceProbed,
    SourceStored,
    UploadStarted,
    VideoBlocked,
    VideoDeleted,
    VideoDocument,
    VideoEdited,
    VideoExpired,
    VideoFailed,
    VideoPlayable,
    VideoProcessing,
    VideoPublished,
    VideoRestored,
    VideoRetried,
    VideoUploaded,
)
from millrace.schemas.events import Position as LogPosition
from millrace.schemas.states import State
from millrace.schemas.topics import CATALOG

Result = tuple["Entry | None", list[Emit]]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a video so far, and the last document said."""

    started: UploadStarted | None = None
    created_at_ms: int = 0
    stored_at_ms: int = 0
    probed: SourceProbed | None = None
    state: State = "UPLOADING"
    epoch: int = 1
    failed: VideoFailed | None = None
    blocked: str | None = None
    edits: VideoEdited | None = None
    poster_key: str = ""
    hls_key: str = ""
    playable_at_ms: int = 0
    published: VideoPublished | None = None
    published_at_ms: int = 0
    positions: dict[str, tuple[int, int]] = field(default_factory=dict)


def apply(state: Entry | None, recorded: Recorded[Any]) -> Result:
    before = state or Entry()
    after = known(before, recorded)
    if after is before:
        return state, []
    positions = {**before.positions, recorded.topic: (recorded.partition, recorded.offset)}
    after = replace(after, positions=positions)
    if after.started is None:
        return after, []
    return after, [Emit(CATALOG, build(after, after.started))]


def known(entry: Entry, recorded: Recorded[Any]) -> Entry:
    """The entry with the event taken in; the very same one where it says nothing new."""
    match recorded.event:
        case UploadStarted() as started if entry.started is None:
            return replace(entry, started=started, created_at_ms=recorded.at_ms)
        case SourceStored() if not entry.stored_at_ms:
            return replace(entry, stored_at_ms=recorded.at_ms)
        case SourceProbed() as probed if entry.probed != probed:
            return replace(entry, probed=probed)
        case PosterMade(object_key=key) if entry.poster_key != key:
            return replace(entry, poster_key=key)
        case VideoEdited() as edit:
            return replace(entry, edits=merged(entry.edits, edit))
        case VideoBlocked(reason=reason):
            return replace(entry, blocked=reason)
        case VideoRestored():
            return replace(entry, blocked=None)
        case ObjectsDeleted():
            return entry
        case _:
            return moved(entry, recorded)


def moved(entry: Entry, recorded: Recorded[Any]) -> Entry:
    match recorded.event:
        case VideoUploaded():
            return replace(entry, state="UPLOADED")
        case VideoProcessing(epoch=epoch) | VideoRetried(epoch=epoch):
            return replace(entry, state="PROCESSING", epoch=epoch, failed=None)
        case VideoPlayable(hls_key=key):
            at_ms = entry.playable_at_ms or recorded.at_ms
            return replace(entry, state="READY", hls_key=key, playable_at_ms=at_ms)
        case VideoPublished() as event:
            return replace(
                entry, hls_key=event.hls_key, published=event, published_at_ms=recorded.at_ms
            )
        case VideoFailed() as event:
            return replace(entry, state="FAILED", failed=event)
        case VideoExpired():
            return replace(entry, state="EXPIRED")
        case VideoDeleted():
            return replace(entry, state="DELETED", blocked=None)
        case _:
            return entry


def merged(before: VideoEdited | None, edit: VideoEdited) -> VideoEdited:
    """The later edit over the earlier one; null keeps what was there."""
    if before is None:
        return edit
    return VideoEdited(
        video_id=edit.video_id,
        title=before.title if edit.title is None else edit.title,
        description=before.description if edit.description is None else edit.description,
        tags=before.tags if edit.tags is None else edit.tags,
        visibility=before.visibility if edit.visibility is None else edit.visibility,
    )


def build(entry: Entry, started: UploadStarted) -> VideoDocument:
    edits = entry.edits or VideoEdited(started.video_id)
    state: State = "BLOCKED" if entry.blocked is not None else entry.state
    visibility = started.visibility if edits.visibility is None else edits.visibility
    published, probed = entry.published, entry.probed
    video = probed.video if probed else None
    width, height = display_size(video) if video else (0, 0)
    return VideoDocument(
        video_id=started.video_id,
        upload_id=started.upload_id,
        creator_id=started.creator_id,
        title=started.title if edits.title is None else edits.title,
        description=started.description if edits.description is None else edits.description,
        tags=started.tags if edits.tags is None else edits.tags,
        visibility=visibility,
        passthrough=started.passthrough,
        state=state,
        complete=published is not None,
        epoch=entry.epoch,
        error_code=entry.failed.code if entry.failed else "",
        error_text=entry.failed.text if entry.failed else "",
        block_reason=entry.blocked or "",
        size_bytes=started.size_bytes,
        sha256=probed.sha256 if probed else "",
        duration_ms=probed.duration_ms if probed else 0,
        frames=video.frames if video else 0,
        width=width,
        height=height,
        poster_key=entry.poster_key,
        hls_key=entry.hls_key,
        dash_key=published.dash_key if published else "",
        renditions=published.renditions if published else (),
        audio=published.audio if published else (),
        dropped=published.dropped if published else (),
        created_at_ms=entry.created_at_ms,
        stored_at_ms=entry.stored_at_ms,
        playable_at_ms=entry.playable_at_ms,
        published_at_ms=entry.published_at_ms,
        listed=state == "READY" and visibility == "public",
        positions=tuple(
            LogPosition(topic, *place) for topic, place in sorted(entry.positions.items())
        ),
    )
