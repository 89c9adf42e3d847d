"""Works that make nothing: each answers from its request alone, as the real one would.

They stand in for media where a test is about topologies or the order of facts; the folds, the
engine and the wiring are the real ones. They must stay pure, so that a repeat of a request gives
the same results, and each run of the simulator too.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

from millrace.processors.emit import Emit
from millrace.schemas import prefixes
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    AudioEncoded,
    AudioRequested,
    AudioTrack,
    ChunkCut,
    ChunkEncoded,
    ChunkRange,
    CutRequested,
    DeletionRequested,
    EncodeRequested,
    ObjectsDeleted,
    ObjectSeen,
    PackageRequested,
    PlaylistsWritten,
    PosterMade,
    PosterRequested,
    ProbeRequested,
    SegmentMade,
    SourceCut,
    SourceProbed,
    SourceRefused,
)
from millrace.schemas.topics import PUBLICATIONS, RENDITIONS, SOURCES, THUMBNAILS, UPLOADS
from millrace.streams import encoding, sources
from millrace.streams.declarations import Topology, Work, WorkPorts
from tests.builders import make_video_track

RATE = 25
SEGMENT_S = 6
# A fake file's size says what is in it: this many bytes a second of video.
BYTES_A_SECOND = 1_000
# A file of one byte is one that the probe refuses.
BAD_SIZE_BYTES = 1

VIDEO = make_video_track(width=1280, height=720, time_base_den=RATE)


def digest(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()


def notification(object_key: str, size_bytes: int) -> bytes:
    """What the store would say of an object that was completed."""
    record = {
        "eventName": "ObjectCreated:CompleteMultipartUpload",
        "s3": {"object": {"key": object_key, "size": size_bytes}},
    }
    return json.dumps({"Records": [record]}).encode()


def rekey(recorded: Recorded[bytes], _ports: WorkPorts) -> Iterator[Emit]:
    for record in json.loads(recorded.event)["Records"]:
        key = record["s3"]["object"]["key"]
        _, video_id, upload_id = key.split("/")
        seen = ObjectSeen(video_id, upload_id, key, record["s3"]["object"]["size"], "etag")
        yield Emit(UPLOADS, seen)


def probe(recorded: Recorded[ProbeRequested], ports: WorkPorts) -> Iterator[Emit]:
    request = recorded.event
    yield sources.started("probe", request, ports)
    if request.size_bytes == BAD_SIZE_BYTES:
        refused = SourceRefused(
            video_id=request.video_id,
            upload_id=request.upload_id,
            epoch=request.epoch,
            attempt=request.attempt,
            code="not_media",
            text="This is no video.",
        )
        yield Emit(SOURCES, refused)
        return
    seconds = request.size_bytes // BYTES_A_SECOND
    video = replace(VIDEO, end_pts=seconds * RATE, frames=seconds * RATE)
    sound = AudioTrack(1, "aac", 2, 48_000, "eng", 0, seconds * 1_000)
    probed = SourceProbed(
        video_id=request.video_id,
        upload_id=request.upload_id,
        epoch=request.epoch,
        attempt=request.attempt,
        sha256=digest(request.object_key),
        container="mov",
        duration_ms=seconds * 1_000,
        bitrate_bps=8 * BYTES_A_SECOND,
        video=video,
        audio=(sound,),
        toolchain="fake",
    )
    yield Emit(SOURCES, probed)


def ranges(request: CutRequested) -> Iterator[ChunkRange]:
    frames_each = request.grid.chunk_segments * SEGMENT_S * RATE
    total = request.video.frames
    for number, lo in enumerate(range(0, total, frames_each)):
        hi = min(lo + frames_each, total)
        yield ChunkRange(
            number=number,
            lo_pts=lo,
            hi_pts=None if hi == total else hi,
            next_pts=hi,
            shift_pts=0,
            first_segment=number * request.grid.chunk_segments,
            segments=-(-(hi - lo) // (SEGMENT_S * RATE)),
            frames=hi - lo,
            hidden_pts=(),
        )


def cut(recorded: Recorded[CutRequested], ports: WorkPorts) -> Iterator[Emit]:
    request = recorded.event
    yield sources.started("cut", request, ports)
    made = list(ranges(request))
    for one in made:
        event = ChunkCut(
            video_id=request.video_id,
            upload_id=request.upload_id,
            epoch=request.epoch,
            attempt=request.attempt,
            object_key=f"{prefixes.of_epoch(request.upload_id, request.epoch)}{one.number}",
            size_bytes=one.frames,
            sha256=digest(request.source_sha256, one.number),
            range=one,
        )
        yield Emit(SOURCES, event)
    whole = SourceCut(
        video_id=request.video_id,
        upload_id=request.upload_id,
        epoch=request.epoch,
        attempt=request.attempt,
        chunks=len(made),
        segments=sum(one.segments for one in made),
        frames=sum(one.frames for one in made),
    )
    yield Emit(SOURCES, whole)


def audio(recorded: Recorded[AudioRequested], ports: WorkPorts) -> Iterator[Emit]:
    request = recorded.event
    yield sources.started("audio", request, ports)
    count = -(-request.duration_ms // (SEGMENT_S * 1_000))
    event = AudioEncoded(
        video_id=request.video_id,
        upload_id=request.upload_id,
        epoch=request.epoch,
        attempt=request.attempt,
        rendition=request.rendition,
        recipe=request.recipe,
        language=request.audio.language,
        codec="mp4a.40.2",
        channels=2,
        sample_rate_hz=48_000,
        segments=tuple(SegmentMade(n, 288_000, 96_000, 281) for n in range(count)),
        loudness_lufs=-20.0,
        gain_db=4.0,
        cpu_seconds=0.1,
    )
    yield Emit(SOURCES, event)


def poster(recorded: Recorded[PosterRequested], ports: WorkPorts) -> Iterator[Emit]:
    request = recorded.event
    yield sources.started("poster", request, ports)
    key = f"images/{digest(request.object_key)}.jpg"
    yield Emit(THUMBNAILS, PosterMade(request.video_id, request.epoch, key, 1280, 720, 10))


def encode(recorded: Recorded[EncodeRequested], ports: WorkPorts) -> Iterator[Emit]:
    request = recorded.event
    yield encoding.started(request, ports)
    for rung in request.rungs:
        yield Emit(RENDITIONS, encoded(request, rung.name, rung.recipe, ports.worker))


def encoded(request: EncodeRequested, rung: str, recipe: str, worker: str) -> ChunkEncoded:
    first, left = request.range.first_segment, request.range.frames
    segments = []
    for number in range(first, first + request.range.segments):
        frames = min(left, SEGMENT_S * RATE)
        ticks = frames * request.grid.timescale // RATE
        segments.append(SegmentMade(number, ticks, 1_000 + number, frames))
        left -= frames
    return ChunkEncoded(
        video_id=request.video_id,
        upload_id=request.upload_id,
        epoch=request.epoch,
        attempt=request.attempt,
        number=request.range.number,
        rung=rung,
        object_key=request.object_key,
        chunk_sha256=request.chunk_sha256,
        range=request.range,
        recipe=recipe,
        codec="avc1.64001f",
        init_sha256=digest(recipe),
        segments=tuple(segments),
        frames=request.range.frames,
        repeated_frames=0,
        vbv_shortage_bits=0,
        cpu_seconds=1.0,
        reused=False,
        worker=worker,
    )


def package(recorded: Recorded[PackageRequested], ports: WorkPorts) -> Iterator[Emit]:
    request = recorded.event
    prefix = f"videos/{request.video_id}"
    name = digest(request.video, request.audio)[:16]
    written = PlaylistsWritten(
        video_id=request.video_id,
        epoch=request.epoch,
        attempt=request.attempt,
        sequence=request.sequence,
        final=request.final,
        hls_key=f"{prefix}/master-{name}.m3u8" if request.final else f"{prefix}/master.m3u8",
        dash_key=f"{prefix}/manifest-{name}.mpd" if request.final else "",
        worker=ports.worker,
    )
    yield Emit(PUBLICATIONS, written)


def delete(recorded: Recorded[DeletionRequested], _ports: WorkPorts) -> Iterator[Emit]:
    request = recorded.event
    yield Emit(
        PUBLICATIONS, ObjectsDeleted(request.video_id, request.reason, len(request.prefixes))
    )


DOES: dict[str, Any] = {
    "rekey": rekey,
    "probe": probe,
    "cut": cut,
    "audio": audio,
    "poster": poster,
    "encode": encode,
    "package": package,
    "delete": delete,
}


def faked(topologies: tuple[Topology, ...]) -> tuple[Topology, ...]:
    """The same topologies with works that make nothing; a work without a fake is a KeyError."""
    return tuple(
        replace(
            topology,
            steps=tuple(
                replace(step, do=DOES[step.name]) if isinstance(step, Work) else step
                for step in topology.steps
            ),
        )
        for topology in topologies
    )
