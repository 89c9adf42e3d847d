"""Decides when playlists are written, with what, and what a finished writing means (TRN-9).

One writing is in hand at a time; what grew meanwhile goes into the next one. It must never announce
a video before its playlists exist and were verified.
"""

from dataclasses import replace
from typing import Any

from millrace.processors import runs
from millrace.processors.emit import Emit
from millrace.processors.letters import work_letter
from millrace.processors.publication import (
    Package,
    Picture,
    Publication,
    Sound,
    fail,
    moved,
    said,
)
from millrace.processors.reasons import sentence
from millrace.processors.retries import ATTEMPTS_MAX, backoff_ms
from millrace.schemas import prefixes
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    AudioEncoded,
    AudioSummary,
    PackageFailed,
    PackageRequested,
    PlaylistRendition,
    PlaylistsWritten,
    VideoPlayable,
    VideoPublished,
)
from millrace.schemas.topics import PACKAGE_REQUESTS

Result = tuple[Publication, list[Emit]]
WRITE_AGAIN_MS = 10 * 60_000


def sound(audio: AudioEncoded) -> Sound:
    """An audio rendition as the state keeps it."""
    made = summarised(audio)
    rendition = PlaylistRendition(
        name=audio.rendition,
        width=0,
        height=0,
        codec=audio.codec,
        language=audio.language,
        channels=audio.channels,
        sample_rate_hz=audio.sample_rate_hz,
        recipe=audio.recipe,
        timescale=audio.sample_rate_hz,
        frame_rate=0.0,
        runs=(),
        bandwidth_bps=made.bandwidth_bps,
        average_bps=made.size_bytes * 8000 // max(made.duration_ms, 1),
        complete=True,
    )
    packed = runs.pack(runs.of(segment.duration_ticks for segment in audio.segments))
    return Sound(made, rendition, packed)


def grown(state: Publication, rendition: PlaylistRendition, *, whole: bool) -> Publication:
    """The state with what is new of a rung; the longest durations serve all rungs.

    Playlists show the lowest rung as it grows and the others once they are whole, so that only
    these are news.
    """
    segments = runs.length(rendition.runs)
    if segments > runs.length(runs.unpack(state.packed)):
        state = replace(state, packed=runs.pack(rendition.runs))
    picture = Picture(replace(rendition, runs=()), segments)
    names = [rung.name for rung in state.plan.rungs] if state.plan else []
    news = whole or rendition.name in [name for name in names if name not in state.dropped][:1]
    video = {**state.video, rendition.name: picture}
    return replace(state, video=video, grown=state.grown or news)


def package(state: Publication, at_ms: int, attempt: int = 1) -> Result:
    """Asks for a writing where there is something new to write and none is in hand."""
    plan = state.plan
    assert plan is not None
    if state.package or state.published or len(state.audio) < len(plan.audio):
        return state, []
    left = [rung.name for rung in plan.rungs if rung.name not in state.dropped]
    final = all(name in state.summaries for name in left)
    if plan.rungs and not left:
        # READY is for good (OPS-1): the video ends where its lowest rung has no more.
        left = [plan.rungs[0].name]
    if not final and not (state.grown and left and left[0] in state.playable):
        return state, []
    shown = [name for name in left if name in state.summaries or name == left[0]]
    if not all(name in state.video for name in shown):
        return state, []
    state = replace(
        state,
        sequence=state.sequence + 1,
        grown=False,
        package=Package(state.sequence + 1, attempt, final),
        since_ms=at_ms,
    )
    return state, [Emit(PACKAGE_REQUESTS, request(state, shown, attempt))]


def request(state: Publication, shown: list[str], attempt: int) -> PackageRequested:
    plan, current = state.plan, state.package
    assert plan is not None
    assert current is not None
    all_runs = runs.unpack(state.packed)
    pictures = [state.video[name] for name in shown]
    return PackageRequested(
        video_id=state.video_id,
        upload_id=state.upload_id,
        epoch=state.epoch,
        attempt=attempt,
        sequence=current.sequence,
        final=current.final,
        grid=plan.grid,
        video=tuple(
            replace(one.rendition, runs=runs.take(all_runs, one.segments)) for one in pictures
        ),
        audio=tuple(
            replace(one.rendition, runs=runs.unpack(one.packed)) for one in in_order(state)
        ),
    )


def in_order(state: Publication) -> list[Sound]:
    return [state.audio[name] for name in sorted(state.audio)]


def summarised(audio: AudioEncoded) -> AudioSummary:
    ticks = sum(segment.duration_ticks for segment in audio.segments)
    peak_bps = max(
        (
            s.size_bytes * 8 * audio.sample_rate_hz // max(s.duration_ticks, 1)
            for s in audio.segments
        ),
        default=0,
    )
    return AudioSummary(
        rendition=audio.rendition,
        codec=audio.codec,
        language=audio.language,
        channels=audio.channels,
        recipe=audio.recipe,
        segments=len(audio.segments),
        duration_ms=ticks * 1000 // audio.sample_rate_hz,
        size_bytes=sum(segment.size_bytes for segment in audio.segments),
        bandwidth_bps=peak_bps,
    )


def written(state: Publication, event: PlaylistsWritten, at_ms: int) -> Result:
    """A writing is done: the first makes the video playable, the final one publishes it."""
    if state.package is None or event.sequence != state.package.sequence:
        return state, []
    state, emits = replace(state, package=None, since_ms=at_ms), []
    if not state.announced:
        state = replace(moved(state, "READY", at_ms), announced=True)
        key = f"{prefixes.of_video(state.video_id)}master.m3u8"
        emits.append(said(VideoPlayable(state.video_id, state.epoch, key)))
    if event.final:
        state = replace(state, published=True)
        emits.append(said(publication(state, event)))
    return state, emits


def publication(state: Publication, event: PlaylistsWritten) -> VideoPublished:
    plan = state.plan
    assert plan is not None
    left = [state.summaries[rung.name] for rung in plan.rungs if rung.name not in state.dropped]
    if plan.rungs and not left:
        left = [state.partial[plan.rungs[0].name]]
    return VideoPublished(
        video_id=state.video_id,
        epoch=state.epoch,
        hls_key=event.hls_key,
        dash_key=event.dash_key,
        duration_ms=min([plan.duration_ms, *(one.duration_ms for one in left)]),
        renditions=tuple(left),
        audio=tuple(sound.summary for sound in in_order(state)),
        dropped=state.dropped,
    )


def failed_package(state: Publication, event: PackageFailed, recorded: Recorded[Any]) -> Result:
    current = state.package
    if current is None or current.retry_at_ms is not None:
        return state, []
    if (event.sequence, event.attempt) != (current.sequence, current.attempt):
        return state, []
    if event.attempt < ATTEMPTS_MAX and not event.permanent:
        retry_at_ms = recorded.at_ms + backoff_ms(event.attempt, recorded.id)
        return replace(state, package=replace(current, retry_at_ms=retry_at_ms)), []
    letter = work_letter(recorded, "publishing", "package", f"{event.code}: {event.text}")
    if state.state == "READY":
        # Playable stays playable, and a writing is cheap: it is tried on, until the deadline.
        later = replace(current, attempt=0, retry_at_ms=recorded.at_ms + WRITE_AGAIN_MS)
        return replace(state, package=later), [letter]
    text = sentence(event.code, event.text)
    state, emits = fail(state, event.code, text, retryable=True, at_ms=recorded.at_ms)
    return state, [letter, *emits]


def retry_package(state: Publication, at_ms: int) -> Result:
    """Another attempt, with all that is there by now."""
    current = state.package
    assert current is not None
    return package(replace(state, package=None, grown=True), at_ms, current.attempt + 1)
