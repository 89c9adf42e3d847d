"""Answers what people ask of a video, with a fact or with a refusal (design: commands).

The fold that owns the state answers; the gateway only waits for it. A refused move must never
change anything.
"""

from dataclasses import replace
from typing import Any

from millrace.processors.emit import Emit
from millrace.processors.publication import Publication, fail, forget, moved, said, shown_state
from millrace.schemas import prefixes
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    BlockRequested,
    CancelRequested,
    CommandRefused,
    DeleteRequested,
    EditRequested,
    RestoreRequested,
    RetryRequested,
    VideoBlocked,
    VideoDeleted,
    VideoEdited,
    VideoRestored,
    VideoRetried,
)

COMMANDS = (
    CancelRequested,
    RetryRequested,
    EditRequested,
    DeleteRequested,
    BlockRequested,
    RestoreRequested,
)
Result = tuple[Publication | None, list[Emit]]
# Commands remembered a video, by id: a repeat stands seconds behind the first, not hundreds later.
ANSWERED_MAX = 16


def answer(state: Publication | None, event: Any, recorded: Recorded[Any]) -> Result:
    """The answer to a command. One that is on the log again was answered, and changes nothing."""
    answered = state.answered if state else ()
    if recorded.id in answered:
        return state, []
    state, emits = decided(state, event, recorded)
    if state is not None:
        state = replace(state, answered=(*answered, recorded.id)[-ANSWERED_MAX:])
    return state, emits


def decided(state: Publication | None, event: Any, recorded: Recorded[Any]) -> Result:
    if state is None or state.state in ("DELETED", "EXPIRED"):
        where = "is not known" if state is None else f"is {state.state}"
        return refuse(state, event, f"The video {where}; nothing can be done with it.")
    at_ms = recorded.at_ms
    match event:
        case CancelRequested() if state.state in ("UPLOADING", "UPLOADED", "PROCESSING"):
            text = "The creator cancelled it."
            return fail(state, "cancelled", text, retryable=state.stored, at_ms=at_ms)
        case RetryRequested() if state.state == "FAILED" and state.retryable:
            return retried(state, at_ms)
        case EditRequested():
            return state, [said(edited(event))]
        case DeleteRequested():
            return deleted(state, at_ms)
        case BlockRequested(reason=reason) if not state.blocked and state.state != "UPLOADING":
            return replace(state, blocked=True), [said(VideoBlocked(state.video_id, reason))]
        case RestoreRequested(reason=reason) if state.blocked:
            return replace(state, blocked=False), [said(VideoRestored(state.video_id, reason))]
        case _:
            where = shown_state(state)
            return refuse(state, event, f"The video is {where}; that does not fit {event.NAME}.")


def refuse(state: Publication | None, event: Any, text: str) -> Result:
    refused = CommandRefused(event.video_id, event.NAME, "state_conflict", text)
    return state, [said(refused)]


def edited(event: EditRequested) -> VideoEdited:
    return VideoEdited(event.video_id, event.title, event.description, event.tags, event.visibility)


def retried(state: Publication, at_ms: int) -> Result:
    """Another epoch: the original is probed again; outputs that exist are verified and reused."""
    fresh = Publication(
        video_id=state.video_id,
        upload_id=state.upload_id,
        since_ms=at_ms,
        state=moved(state, "PROCESSING", at_ms).state,
        epoch=state.epoch + 1,
        registered=True,
        stored=True,
        blocked=state.blocked,
        sequence=state.sequence,
    )
    return fresh, [said(VideoRetried(state.video_id, fresh.epoch))]


def deleted(state: Publication, at_ms: int) -> Result:
    """Gone for everybody at once. The original stays: only an erasure removes it (ING-7)."""
    every = (*prefixes.of_results(state.video_id), prefixes.of_chunks(state.upload_id))
    gone = Publication(
        video_id=state.video_id,
        upload_id=state.upload_id,
        since_ms=at_ms,
        state=moved(state, "DELETED", at_ms).state,
        epoch=state.epoch,
        registered=True,
        stored=state.stored,
        sequence=state.sequence,
    )
    return gone, [
        said(VideoDeleted(state.video_id)),
        forget(state, "the video was deleted", every),
    ]
