"""Owns the states of a video (OPS-1): decides when it is playable, published, failed or gone.

Facts come from topics that are not ordered to each other, so they are collected first and the moves
follow from what is there (advance). It must never say READY before the playlists were written, and
never turn READY into FAILED: a rung that fails late is dropped and flagged.
"""

from dataclasses import replace
from typing import Any

from millrace.processors import commands
from millrace.processors.emit import Emit
from millrace.processors.packaging import (
    failed_package,
    grown,
    package,
    retry_package,
    sound,
    written,
)
from millrace.processors.publication import Publication, fail, forget, gave_up, moved, said
from millrace.schemas import prefixes
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    AudioEncoded,
    DeadlinePassed,
    LadderPlanned,
    PackageFailed,
    PlaylistsWritten,
    RenditionCompleted,
    RenditionFailed,
    RenditionPlayable,
    RenditionProgressed,
    SourceAbandoned,
    SourceRefused,
    SourceStored,
    UploadExpired,
    UploadRefused,
    UploadStarted,
    VideoExpired,
    VideoProcessing,
    VideoUploaded,
    VideoUploading,
)

Result = tuple[Publication | None, list[Emit]]
UPLOAD_FACTS = (UploadStarted, SourceStored, UploadExpired, UploadRefused)


def apply(state: Publication | None, recorded: Recorded[Any]) -> Result:
    event = recorded.event
    if isinstance(event, commands.COMMANDS):
        return commands.answer(state, event, recorded)
    if isinstance(event, DeadlinePassed):
        assert state is not None
        return passed(state, event)
    if isinstance(event, UPLOAD_FACTS):
        state = state or Publication(event.video_id, event.upload_id, since_ms=recorded.at_ms)
        state, emits = uploaded(state, event, recorded.at_ms)
    elif getattr(event, "epoch", None) is None:
        return state, []
    else:
        if state is None:
            # The upload's own topic is read later; only this fold starts an epoch, so it is 1.
            state = Publication(event.video_id, "", since_ms=recorded.at_ms)
        if state.state == "DELETED" and isinstance(event, (AudioEncoded, PlaylistsWritten)):
            reason = "a result came after the video was deleted"
            return state, [forget(state, reason, prefixes.of_results(state.video_id))]
        if event.epoch != state.epoch or state.state in ("FAILED", "DELETED", "EXPIRED"):
            return state, []
        state, emits = collect(state, recorded)
    state, more = advance(state, recorded)
    return state, emits + more


def uploaded(
    state: Publication,
    event: UploadStarted | SourceStored | UploadExpired | UploadRefused,
    at_ms: int,
) -> tuple[Publication, list[Emit]]:
    if isinstance(event, UploadStarted) and state.registered:
        # Announced again, perhaps by another gateway: the first announcement counts.
        return state, []
    state = replace(state, upload_id=event.upload_id)
    match event:
        case UploadStarted():
            uploading = VideoUploading(state.video_id, state.upload_id)
            return replace(state, registered=True), [said(uploading)]
        case SourceStored():
            return replace(state, stored=True), []
        case UploadExpired() if state.state == "UPLOADING":
            expired = moved(state, "EXPIRED", at_ms)
            return expired, [said(VideoExpired(state.video_id))]
        case UploadRefused(code=code, text=text) if state.state == "UPLOADING":
            return fail(state, code, text, retryable=False, at_ms=at_ms)
        case _:
            return state, []


def collect(state: Publication, recorded: Recorded[Any]) -> tuple[Publication, list[Emit]]:
    """Takes a fact of this epoch in; what follows from it is advance's."""
    match recorded.event:
        case LadderPlanned() as plan:
            return replace(state, plan=plan), []
        case AudioEncoded() as audio:
            return replace(state, audio={**state.audio, audio.rendition: sound(audio)}), []
        case RenditionProgressed(rendition=rendition) if rendition.name not in state.summaries:
            return grown(state, rendition, whole=False), []
        case RenditionPlayable(rung=rung):
            return replace(state, playable=add(state.playable, rung)), []
        case RenditionCompleted(summary=summary, rendition=rendition):
            summaries = {**state.summaries, summary.rung: summary}
            return replace(grown(state, rendition, whole=True), summaries=summaries), []
        case RenditionFailed() as failure:
            return replace(
                state,
                dropped=add(state.dropped, failure.rung),
                partial={**state.partial, failure.rung: failure.summary},
                error=(failure.code, failure.text),
            ), []
        case SourceRefused(code=code, text=text):
            return replace(state, refused=(code, text, False)), []
        case SourceAbandoned(code=code, text=text):
            return replace(state, refused=(code, text, True)), []
        case PlaylistsWritten() as event:
            return written(state, event, recorded.at_ms)
        case PackageFailed() as event:
            return failed_package(state, event, recorded)
        case _:
            return state, []


def add(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else tuple(sorted((*names, name)))


def advance(state: Publication, recorded: Recorded[Any]) -> tuple[Publication, list[Emit]]:
    """Every move that the facts allow, in the order of OPS-1."""
    emits: list[Emit] = []
    at_ms = recorded.at_ms
    if state.state == "UPLOADING" and state.registered and state.stored:
        state = moved(state, "UPLOADED", at_ms)
        emits.append(said(VideoUploaded(state.video_id, state.upload_id)))
    if state.state not in ("UPLOADED", "PROCESSING", "READY"):
        return state, emits
    if state.refused and state.state != "READY":
        code, text, retryable = state.refused
        state, more = fail(state, code, text, retryable=retryable, at_ms=at_ms)
        return state, emits + more
    if state.state == "UPLOADED" and state.plan:
        state = moved(state, "PROCESSING", at_ms)
        emits.append(said(VideoProcessing(state.video_id, state.epoch)))
    if state.state == "UPLOADED" or state.plan is None:
        return state, emits
    if gave_up(state) and state.state != "READY":
        code, text = state.error
        state, more = fail(state, code, text, retryable=True, at_ms=at_ms)
        return state, emits + more
    state, more = package(state, at_ms)
    return state, emits + more


def passed(state: Publication, event: DeadlinePassed) -> Result:
    if event.name == "retry package":
        return retry_package(state, event.at_ms)
    if state.state == "READY":
        return late(state, event)
    text = "Processing was not finished within a day. Ask for a retry."
    return fail(state, "processing_timed_out", text, retryable=True, at_ms=event.at_ms)


def late(state: Publication, event: DeadlinePassed) -> Result:
    """A READY video whose last rungs do not come is finished with those that came."""
    assert state.plan is not None
    missing = [rung.name for rung in state.plan.rungs if rung.name not in state.summaries]
    state = replace(state, dropped=tuple(sorted({*state.dropped, *missing})), since_ms=event.at_ms)
    return package(replace(state, package=None), event.at_ms)
