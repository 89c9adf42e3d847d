"""Decides what is done to an original: probe it, plan the ladder, cut it, encode its sound, poster.

A failed step is tried again here, after a delay; a poster is never worth a video. The chunks are
temporary, and go when nobody needs them any more. It must never ask for the same attempt of a step
twice.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from millrace.processors import ladder
from millrace.processors.emit import Deadline, Emit, Waiting
from millrace.processors.letters import work_letter
from millrace.processors.reasons import sentence
from millrace.processors.retries import ATTEMPTS_MAX, GIVE_UP_MS, backoff_ms
from millrace.schemas import prefixes
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    AudioEncoded,
    AudioRequested,
    ChunkCut,
    CutRequested,
    DeadlinePassed,
    DeletionRequested,
    LadderPlanned,
    PosterMade,
    PosterRequested,
    ProbeRequested,
    SourceAbandoned,
    SourceCut,
    SourceProbed,
    SourceRefused,
    SourceStepFailed,
    SourceStored,
    SourceWorkStarted,
    VideoDeleted,
    VideoFailed,
    VideoPublished,
    VideoRetried,
)
from millrace.schemas.topics import DELETION_REQUESTS, IMAGE_REQUESTS, SOURCE_REQUESTS, SOURCES

Result = tuple["Source | None", list[Emit]]
POLICY = ladder.LadderPolicy()
NEXT = {
    "probe": "the ladder is planned",
    "cut": "each chunk is encoded as soon as it is cut",
    "audio": "the video becomes playable with its first segments",
    "poster": "the poster is shown",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A step in hand: which attempt, since when, who holds it, and when it is tried again."""

    attempt: int
    since_ms: int
    holder: str = ""
    retry_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """An original and the steps over it that are not done; a step that is done is not there.

    stored is None where a video ended before its original was read here; encoded is true when the
    video is published, so that its chunks are kept for the poster alone.
    """

    stored: SourceStored | None = None
    epoch: int = 1
    steps: dict[str, Step] = field(default_factory=dict)
    plan: LadderPlanned | None = None
    first_chunk: ChunkCut | None = None
    encoded: bool = False
    stopped: bool = False
    deleted: bool = False


def apply(state: Source | None, recorded: Recorded[Any]) -> Result:
    event = recorded.event
    if isinstance(event, SourceStored):
        return stored_source(state, event, recorded.at_ms)
    if isinstance(event, VideoDeleted | VideoFailed):
        return ended(state or Source(), event)
    if state is None or state.stored is None:
        return state, []
    if isinstance(event, VideoRetried):
        if event.epoch <= state.epoch or state.deleted:
            return state, []
        return begin(Source(state.stored, event.epoch), recorded.at_ms)
    if isinstance(event, DeadlinePassed):
        return passed(state, event)
    # Facts of an upload or of another epoch are nothing to the steps in hand.
    if state.stopped or getattr(event, "epoch", None) != state.epoch:
        return state, []
    return progress(state, recorded)


def stored_source(state: Source | None, event: SourceStored, at_ms: int) -> Result:
    """The first word of an original begins its way, unless the video ended before."""
    if state is None:
        return begin(Source(event), at_ms)
    return (state, []) if state.stored else (replace(state, stored=event), [])


def ended(state: Source, event: VideoDeleted | VideoFailed) -> Result:
    """Nothing is asked for any more, and the chunks go; a deleted video's are publishing's.

    The notes of a failed video stay: a retry finds by them what need not be made again (TRN-11).
    """
    if isinstance(event, VideoDeleted):
        return replace(state, steps={}, stopped=True, deleted=True), []
    if event.epoch != state.epoch:
        return state, []
    stopped = replace(state, steps={}, stopped=True)
    return stopped, forget_chunks(stopped, "the video failed") if state.stored else []


def forget_chunks(state: Source, reason: str, *more: str) -> list[Emit]:
    """Of this epoch alone: a retry cuts again, and its chunks must not go with these."""
    stored = state.stored
    assert stored is not None
    event = DeletionRequested(
        video_id=stored.video_id,
        reason=reason,
        prefixes=(prefixes.of_epoch(stored.upload_id, state.epoch), *more),
        multipart_key=None,
        multipart_id=None,
    )
    return [Emit(DELETION_REQUESTS, event)]


def without_poster(state: Source) -> Result:
    """The poster is there or given up; with it go a published video's chunks, and works' notes."""
    state = done(state, "poster")
    if not state.encoded:
        return state, []
    notes = prefixes.of_notes(stored_of(state).video_id)
    return state, forget_chunks(state, "the video is published", notes)


def progress(state: Source, recorded: Recorded[Any]) -> Result:
    match recorded.event:
        case SourceProbed() as probed if state.plan is None:
            return planned(done(state, "probe"), probed, recorded.at_ms)
        case SourceRefused():
            return replace(state, steps={}, stopped=True), []
        case ChunkCut(range=range_) as cut if range_.number == 0 and state.first_chunk is None:
            return start(replace(state, first_chunk=cut), "poster", recorded.at_ms)
        case SourceCut():
            return done(state, "cut"), []
        case AudioEncoded():
            return done(state, "audio"), []
        case PosterMade():
            return without_poster(state)
        case VideoPublished():
            state = replace(state, encoded=True)
            return (state, []) if "poster" in state.steps else without_poster(state)
        case SourceWorkStarted(step=step, attempt=attempt, worker=worker):
            return held(state, step, attempt, worker), []
        case SourceStepFailed() as failed:
            return failed_step(state, failed, recorded)
        case _:
            return state, []


def begin(state: Source, at_ms: int) -> Result:
    return start(state, "probe", at_ms)


def start(state: Source, step: str, at_ms: int, attempt: int = 1) -> Result:
    steps = {**state.steps, step: Step(attempt, at_ms)}
    return replace(state, steps=steps), [request(state, step, attempt)]


def stored_of(state: Source) -> SourceStored:
    assert state.stored is not None
    return state.stored


def done(state: Source, step: str) -> Source:
    steps = {name: value for name, value in state.steps.items() if name != step}
    return replace(state, steps=steps)


def held(state: Source, step: str, attempt: int, worker: str) -> Source:
    current = state.steps.get(step)
    if current is None or current.attempt != attempt:
        return state
    return replace(state, steps={**state.steps, step: replace(current, holder=worker)})


def planned(state: Source, probed: SourceProbed, at_ms: int) -> Result:
    plan = planned_event(state, probed)
    emits = [Emit(SOURCES, plan)]
    state = replace(state, plan=plan)
    for step, wanted in (("cut", plan.video is not None), ("audio", bool(plan.audio))):
        if wanted:
            state, asked = advance(state, step, at_ms)
            emits += asked
    return state, emits


def planned_event(state: Source, probed: SourceProbed) -> LadderPlanned:
    made = ladder.plan(probed.video, probed.audio, probed.sha256, probed.toolchain, POLICY)
    stored = stored_of(state)
    return LadderPlanned(
        video_id=stored.video_id,
        upload_id=stored.upload_id,
        epoch=state.epoch,
        lane=stored.priority,
        source_key=stored.object_key,
        source_sha256=probed.sha256,
        video=probed.video,
        grid=made.grid,
        rungs=made.rungs,
        audio=made.audio,
        duration_ms=made.duration_ms,
    )


def advance(state: Source, step: str, at_ms: int) -> tuple[Source, list[Emit]]:
    after, emits = start(state, step, at_ms)
    assert after is not None
    return after, emits


def failed_step(state: Source, failed: SourceStepFailed, recorded: Recorded[Any]) -> Result:
    step = state.steps.get(failed.step)
    if step is None or step.attempt != failed.attempt or step.retry_at_ms is not None:
        return state, []
    if failed.attempt < ATTEMPTS_MAX and not failed.permanent:
        retry_at_ms = recorded.at_ms + backoff_ms(failed.attempt, recorded.id)
        steps = {**state.steps, failed.step: replace(step, holder="", retry_at_ms=retry_at_ms)}
        return replace(state, steps=steps), []
    letter = work_letter(recorded, "sources", failed.step, f"{failed.code}: {failed.text}")
    if failed.step == "poster":
        after, emits = without_poster(state)
    else:
        text = sentence(failed.code, failed.text)
        after, emits = abandon(state, failed.step, failed.code, text)
    return after, [letter, *emits]


def abandon(state: Source, step: str, code: str, text: str) -> Result:
    stored = stored_of(state)
    gone = SourceAbandoned(stored.video_id, stored.upload_id, state.epoch, step, code, text)
    return replace(state, steps={}, stopped=True), [Emit(SOURCES, gone)]


def passed(state: Source, event: DeadlinePassed) -> Result:
    """A retry is due, or the time of a step is over."""
    name, _, step_name = event.name.partition(" ")
    step = state.steps[step_name]
    if name == "retry":
        return start(state, step_name, event.at_ms, step.attempt + 1)
    if step_name == "poster":
        return without_poster(state)
    text = "Processing was not finished within a day. Ask for a retry."
    return abandon(state, step_name, "processing_timed_out", text)


def deadline(state: Source) -> Deadline | None:
    due = []
    for name, step in state.steps.items():
        if step.retry_at_ms is None:
            due.append((step.since_ms + GIVE_UP_MS, f"give-up {name}"))
        else:
            due.append((step.retry_at_ms, f"retry {name}"))
    if not due:
        return None
    at_ms, name = min(due)
    return Deadline(name, at_ms)


def waiting(state: Source) -> Waiting | None:
    if not state.steps:
        return None
    names = sorted(state.steps)
    holders = [f"{name}: {state.steps[name].holder or 'in the queue'}" for name in names]
    retried = [name for name in names if state.steps[name].retry_at_ms is not None]
    after = "; ".join(NEXT[name] for name in names)
    return Waiting(
        video_id=stored_of(state).video_id,
        waits_for=" and ".join(names),
        since_ms=min(step.since_ms for step in state.steps.values()),
        holder=", ".join(holders),
        next=f"{', '.join(retried)} tried again at the deadline" if retried else after,
    )


def request(state: Source, step: str, attempt: int) -> Emit:
    """The request for a step; what it says follows from the state alone."""
    stored, plan, epoch = stored_of(state), state.plan, state.epoch
    if step == "probe":
        event = ProbeRequested(
            video_id=stored.video_id,
            upload_id=stored.upload_id,
            epoch=epoch,
            attempt=attempt,
            object_key=stored.object_key,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
        )
        return Emit(SOURCE_REQUESTS, event)
    if step == "poster":
        return Emit(IMAGE_REQUESTS, poster_request(state, attempt))
    assert plan is not None
    return Emit(
        SOURCE_REQUESTS,
        cut_request(plan, attempt) if step == "cut" else audio_request(plan, attempt),
    )


def cut_request(plan: LadderPlanned, attempt: int) -> CutRequested:
    assert plan.video is not None
    return CutRequested(
        video_id=plan.video_id,
        upload_id=plan.upload_id,
        epoch=plan.epoch,
        attempt=attempt,
        object_key=plan.source_key,
        source_sha256=plan.source_sha256,
        video=plan.video,
        grid=plan.grid,
    )


def audio_request(plan: LadderPlanned, attempt: int) -> AudioRequested:
    (track,) = plan.audio
    return AudioRequested(
        video_id=plan.video_id,
        upload_id=plan.upload_id,
        epoch=plan.epoch,
        attempt=attempt,
        object_key=plan.source_key,
        source_sha256=plan.source_sha256,
        audio=track.track,
        video=plan.video,
        grid=plan.grid,
        duration_ms=plan.duration_ms,
        rendition=track.name,
        bitrate_bps=track.bitrate_bps,
        recipe=track.recipe,
    )


def poster_request(state: Source, attempt: int) -> PosterRequested:
    plan, chunk = state.plan, state.first_chunk
    assert plan is not None
    assert plan.video is not None
    assert chunk is not None
    return PosterRequested(
        video_id=plan.video_id,
        upload_id=plan.upload_id,
        epoch=plan.epoch,
        attempt=attempt,
        object_key=chunk.object_key,
        video=plan.video,
        range=chunk.range,
    )
