"""The topology of sources: a stored original is probed, planned, cut, and its sound encoded."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from millrace.processors import sources
from millrace.processors.emit import Emit
from millrace.processors.media.audio import encode_audio
from millrace.processors.media.cut import cut
from millrace.processors.media.failures import Refused
from millrace.processors.media.poster import poster
from millrace.processors.media.probe import probe
from millrace.processors.media.toolchain import toolchain
from millrace.schemas import prefixes
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    AudioEncoded,
    AudioRequested,
    ChunkCut,
    CutRequested,
    PosterMade,
    PosterRequested,
    ProbeRequested,
    SourceCut,
    SourceProbed,
    SourceRefused,
    SourceStepFailed,
    SourceWorkStarted,
)
from millrace.schemas.topics import (
    DEAD_LETTERS,
    DELETION_REQUESTS,
    IMAGE_REQUESTS,
    PUBLICATIONS,
    SOURCE_REQUESTS,
    SOURCES,
    THUMBNAILS,
    UPLOADS,
)
from millrace.sinks import tables
from millrace.streams import outputs, rows
from millrace.streams.declarations import Failure, Fold, Project, Topology, Work, WorkPorts
from millrace.streams.failures import failed_attempt

# Past the hash and the packets of the largest file accepted; a file that takes longer is hostile.
PROBE_TIMEOUT_S = 50.0
WHOLE_FILE_TIMEOUT_S = 3_600.0
# Long works of many uploads must not hold every worker while chunks wait to be encoded; two workers
# still cut one video and encode its sound side by side.
WHOLE_FILE_SLOTS = 1


def started(step: str, request: Any, ports: WorkPorts) -> Emit:
    event = SourceWorkStarted(request.video_id, request.epoch, request.attempt, step, ports.worker)
    return Emit(SOURCES, event)


def failed(step: str, recorded: Recorded[Any], failure: Failure) -> list[Emit]:
    # Looking at a file for longer does not make it less hostile.
    permanent = failure.permanent or (step == "probe" and failure.code == "timeout")
    return failed_attempt(
        SourceStepFailed, SOURCES, recorded, failure, step=step, permanent=permanent
    )


def do_probe(recorded: Recorded[ProbeRequested], ports: WorkPorts) -> Iterator[Emit]:
    """What the file is, by its bytes, and whether they are the bytes that were announced."""
    request = recorded.event
    yield started("probe", request, ports)
    path = ports.scratch / "source"
    ports.objects.download(request.object_key, path)
    try:
        digest = outputs.digest_of(path)
        if request.sha256 is not None and request.sha256.lower() != digest:
            text = "The file that arrived is not the file that was announced. Upload it again."
            raise Refused("checksum_mismatch", text)
        found = probe(path, ports.limits)
    except Refused as refusal:
        event = SourceRefused(
            video_id=request.video_id,
            upload_id=request.upload_id,
            epoch=request.epoch,
            attempt=request.attempt,
            code=refusal.code,
            text=refusal.text,
        )
        yield Emit(SOURCES, event)
        return
    probed = SourceProbed(
        video_id=request.video_id,
        upload_id=request.upload_id,
        epoch=request.epoch,
        attempt=request.attempt,
        sha256=digest,
        container=found.container,
        duration_ms=found.duration_ms,
        bitrate_bps=found.bitrate_bps,
        video=found.video,
        audio=found.audio,
        toolchain=toolchain(),
    )
    ports.point("probe.done")
    yield Emit(SOURCES, probed)


def do_cut(recorded: Recorded[CutRequested], ports: WorkPorts) -> Iterator[Emit]:
    """Streams through the original once; each chunk is announced as soon as it is stored."""
    request = recorded.event
    yield started("cut", request, ports)
    path = ports.scratch / "source"
    ports.objects.download(request.object_key, path)
    grid = request.grid
    epoch_prefix = prefixes.of_epoch(request.upload_id, request.epoch)
    prefix = f"{epoch_prefix}{grid.segment_ms}x{grid.chunk_segments}"
    chunks = segments = frames = 0
    out_dir = ports.scratch / "chunks"
    out_dir.mkdir()
    for made in cut(path, request.video, grid, out_dir):
        if not outputs.still_wanted(recorded, ports):
            return
        digest = outputs.digest_of(made.path)
        key = f"{prefix}/{made.range.number}"
        outputs.put_once(ports.objects, key, made.path)
        made.path.unlink()
        ports.point("cut.put")
        event = ChunkCut(
            video_id=request.video_id,
            upload_id=request.upload_id,
            epoch=request.epoch,
            attempt=request.attempt,
            object_key=key,
            size_bytes=made.bytes,
            sha256=digest,
            range=made.range,
        )
        yield Emit(SOURCES, event)
        ports.point("cut.said")
        chunks, segments = chunks + 1, segments + made.range.segments
        frames += made.range.frames
    whole = SourceCut(
        video_id=request.video_id,
        upload_id=request.upload_id,
        epoch=request.epoch,
        attempt=request.attempt,
        chunks=chunks,
        segments=segments,
        frames=frames,
    )
    yield Emit(SOURCES, whole)


def do_audio(recorded: Recorded[AudioRequested], ports: WorkPorts) -> Iterator[Emit]:
    """Encodes a track in one run; per chunk it would drift and click at every joint."""
    request = recorded.event
    yield started("audio", request, ports)
    key = outputs.note_key(request.video_id, request.rendition, request.recipe, "whole")
    made = outputs.noted(ports.objects, key)
    if isinstance(made, AudioEncoded):
        again = replace(
            made,
            upload_id=request.upload_id,
            epoch=request.epoch,
            attempt=request.attempt,
            cpu_seconds=0.0,
        )
        yield Emit(SOURCES, again)
        return
    event = encoded_audio(request, ports)
    outputs.note(ports.objects, key, event)
    ports.point("audio.put")
    yield Emit(SOURCES, event)


def encoded_audio(request: AudioRequested, ports: WorkPorts) -> AudioEncoded:
    path = ports.scratch / "source"
    ports.objects.download(request.object_key, path)
    out_dir = ports.scratch / "audio"
    out_dir.mkdir()
    made = encode_audio(
        path,
        request.audio,
        request.video,
        request.grid,
        request.duration_ms,
        request.bitrate_bps,
        out_dir,
    )
    prefix = outputs.prefix_of(request.video_id, request.rendition, request.recipe)
    outputs.put_media(ports.objects, prefix, made.init_path, made.segments)
    return AudioEncoded(
        video_id=request.video_id,
        upload_id=request.upload_id,
        epoch=request.epoch,
        attempt=request.attempt,
        rendition=request.rendition,
        recipe=request.recipe,
        language=request.audio.language,
        codec=made.codec,
        channels=made.channels,
        sample_rate_hz=made.sample_rate_hz,
        segments=tuple(segment for segment, _ in made.segments),
        loudness_lufs=made.loudness_lufs,
        gain_db=made.gain_db,
        cpu_seconds=made.cpu_seconds,
    )


def do_poster(recorded: Recorded[PosterRequested], ports: WorkPorts) -> Iterator[Emit]:
    """One picture of the first chunk, stored under the digest of its bytes (THM-6)."""
    request = recorded.event
    yield started("poster", request, ports)
    chunk, image = ports.scratch / "chunk", ports.scratch / "poster.jpg"
    ports.objects.download(request.object_key, chunk)
    made = poster(chunk, request.video, request.range, image)
    size_bytes = image.stat().st_size
    key = f"images/{outputs.digest_of(image)}.jpg"
    ports.objects.put_file(key, image)
    event = PosterMade(request.video_id, request.epoch, key, made.width, made.height, size_bytes)
    yield Emit(THUMBNAILS, event)


SOURCES_TOPOLOGY = Topology(
    name="sources",
    lead=SOURCES,
    steps=(
        Fold(
            name="sources",
            version=1,
            reads=(UPLOADS, SOURCES, THUMBNAILS, PUBLICATIONS),
            writes=(SOURCE_REQUESTS, SOURCES, IMAGE_REQUESTS, DELETION_REQUESTS, DEAD_LETTERS),
            state=sources.Source,
            apply=sources.apply,
            deadline=sources.deadline,
            waiting=sources.waiting,
        ),
        Work(
            name="probe",
            lanes=(SOURCE_REQUESTS,),
            takes=(ProbeRequested,),
            writes=(SOURCES,),
            do=do_probe,
            failed=partial(failed, "probe"),
            still_wanted=outputs.still_wanted,
            timeout_s=PROBE_TIMEOUT_S,
        ),
        Work(
            name="cut",
            lanes=(SOURCE_REQUESTS,),
            takes=(CutRequested,),
            writes=(SOURCES,),
            do=do_cut,
            failed=partial(failed, "cut"),
            still_wanted=outputs.still_wanted,
            timeout_s=WHOLE_FILE_TIMEOUT_S,
            slots=WHOLE_FILE_SLOTS,
        ),
        Work(
            name="audio",
            lanes=(SOURCE_REQUESTS,),
            takes=(AudioRequested,),
            writes=(SOURCES,),
            do=do_audio,
            failed=partial(failed, "audio"),
            still_wanted=outputs.still_wanted,
            timeout_s=WHOLE_FILE_TIMEOUT_S,
            slots=WHOLE_FILE_SLOTS,
        ),
        Work(
            name="poster",
            lanes=(IMAGE_REQUESTS,),
            takes=(PosterRequested,),
            writes=(SOURCES, THUMBNAILS),
            do=do_poster,
            failed=partial(failed, "poster"),
            still_wanted=outputs.not_ended,
            timeout_s=60.0,
        ),
        Project("step-rows", SOURCES, tables.STEPS, rows.steps),
    ),
)
