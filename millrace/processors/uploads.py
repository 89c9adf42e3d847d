"""Decides when an upload session is stored, refused or expired (ING-3 to ING-5).

The gateway's word and the store's own notification both come here; the first one wins and the other
changes nothing. It must never say that an original is stored whose size is not the announced one.
"""

from dataclasses import dataclass, replace
from typing import Any

from millrace.processors.emit import Deadline, Emit, Waiting
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    DeadlinePassed,
    DeletionRequested,
    ObjectSeen,
    SourceStored,
    UploadExpired,
    UploadFinished,
    UploadRefused,
    UploadStarted,
    VideoDeleted,
    VideoFailed,
)
from millrace.schemas.topics import DELETION_REQUESTS, UPLOADS

Result = tuple["Session | None", list[Emit]]


@dataclass(frozen=True, slots=True)
class Session:
    """An upload session; started is the announcement, phase how it stands."""

    started: UploadStarted
    since_ms: int
    phase: str = "open"


def apply(state: Session | None, recorded: Recorded[Any]) -> Result:
    match recorded.event:
        case UploadStarted() as started if state is None:
            return Session(started, recorded.at_ms), []
        case UploadFinished() | ObjectSeen() as seen if is_of(state, seen):
            assert state is not None
            return arrived(state, seen)
        case DeadlinePassed() if state and state.phase == "open":
            expired = UploadExpired(state.started.video_id, state.started.upload_id)
            gone = discard(state, "the upload expired")
            return replace(state, phase="expired"), [Emit(UPLOADS, expired), gone]
        case VideoFailed() | VideoDeleted() if state and state.phase == "open":
            return replace(state, phase="cancelled"), [discard(state, "the upload was cancelled")]
        case _:
            return state, []


def is_of(state: Session | None, seen: UploadFinished | ObjectSeen) -> bool:
    """Whether it is this session's object: another body under the same key is another upload."""
    return state is not None and seen.upload_id == state.started.upload_id


def arrived(state: Session, seen: UploadFinished | ObjectSeen) -> Result:
    """The object is there. Only the first sighting of an open session is news."""
    started = state.started
    if state.phase in ("expired", "cancelled"):
        return state, [discard(state, "the object came after the session had ended")]
    if state.phase != "open":
        return state, []
    if seen.size_bytes != started.size_bytes:
        text = (
            f"The stored file has {seen.size_bytes} bytes, but {started.size_bytes} were announced."
            " Upload it again."
        )
        refused = UploadRefused(started.video_id, started.upload_id, "size_mismatch", text)
        return replace(state, phase="refused"), [Emit(UPLOADS, refused)]
    stored = SourceStored(
        video_id=started.video_id,
        upload_id=started.upload_id,
        creator_id=started.creator_id,
        object_key=started.object_key,
        size_bytes=seen.size_bytes,
        etag=seen.etag,
        sha256=started.sha256,
        priority=started.priority,
    )
    return replace(state, phase="stored"), [Emit(UPLOADS, stored)]


def discard(state: Session, reason: str) -> Emit:
    """Nothing of a session that came to nothing is left dangling (ING-5)."""
    started = state.started
    request = DeletionRequested(
        video_id=started.video_id,
        reason=reason,
        prefixes=(started.object_key,),
        multipart_key=started.object_key,
        multipart_id=started.multipart_id,
    )
    return Emit(DELETION_REQUESTS, request)


def deadline(state: Session) -> Deadline | None:
    if state.phase != "open":
        return None
    return Deadline("expiry", state.started.expires_at_ms)


def waiting(state: Session) -> Waiting | None:
    if state.phase != "open":
        return None
    return Waiting(
        video_id=state.started.video_id,
        waits_for="the parts of the file",
        since_ms=state.since_ms,
        holder="the uploading client",
        next="processing starts when the upload is completed; the session ends at its deadline",
    )
