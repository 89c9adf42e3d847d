"""Works without media: each says what a real one would, and the same in every attempt.

The simulator is about the order of facts, so a task is a pure function of its request here.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from millrace.processors.emit import Emit
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
    EncodeWorkStarted,
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
    VideoTrack,
)
from millrace.schemas.topics import PUBLICATIONS, RENDITIONS, SOURCES, THUMBNAILS, UPLOADS
from millrace.streams.declarations import Topology, Work, WorkPorts
from millrace.streams.sources import started
from millrace.streams.topologies import TOPOLOGIES

CHUNKS = 3
RATE = 25
SEGMENT_S = 6
FRAMES_A_CHUNK = RATE * SEGMENT_S

Outputs = Iterator[Emit]


def track() -> VideoTrack:
    """Eighteen seconds of 640x360 at 25 frames a second: three chunks, two rungs and more."""
    return VideoTrack(
        stream_index=0,
        codec="h264",
        width=640,
        height=360,
        rotation_deg=0,
        sar_num=1,
        sar_den=1,
        rate_num=RATE,
        rate_den=1,
        constant_rate=True,
        time_base_num=1,
        time_base_den=RATE,
        start_pts=0,
        end_pts=CHUNKS * FRAMES_A_CHUNK,
        frames=CHUNKS * FRAMES_A_CHUNK,
        gop_ms_max=2000,
        reorder_pts=0,
        pixel_format="yuv420p",
        color_primaries="bt709",
        color_transfer="bt709",
        color_matrix="bt709",
        color_range="tv",
        field_order="progressive",
    )


def probe(recorded: Recorded[ProbeRequested], ports: WorkPorts) -> Outputs:
    asked = recorded.event
    yield started("probe", asked, ports)
    sound = AudioTrack(1, "aac", 2, 48_000, "und", 0, CHUNKS * SEGMENT_S * 1000)
    probed = SourceProbed(
        video_id=asked.video_id,
        upload_id=asked.upload_id,
        epoch=asked.epoch,
        attempt=asked.attempt,
        sha256="5" * 64,
        container="mp4",
        duration_ms=CHUNKS * SEGMENT_S * 1000,
        bitrate_bps=1_000_000,
        video=track(),
        audio=(sound,),
        toolchain="simulated",
    )
    yield Emit(SOURCES, probed)


def range_of(number: int) -> ChunkRange:
    first, after = number * FRAMES_A_CHUNK, (number + 1) * FRAMES_A_CHUNK
    return ChunkRange(
        number=number,
        lo_pts=first,
        hi_pts=None if number == CHUNKS - 1 else after,
        next_pts=after,
        shift_pts=0,
        first_segment=number,
        segments=1,
        frames=FRAMES_A_CHUNK,
        hidden_pts=(),
    )


def cut(recorded: Recorded[CutRequested], ports: WorkPorts) -> Outputs:
    asked = recorded.event
    yield started("cut", asked, ports)
    for number in range(CHUNKS):
        chunk = ChunkCut(
            video_id=asked.video_id,
            upload_id=asked.upload_id,
            epoch=asked.epoch,
            attempt=asked.attempt,
            object_key=f"chunks/{asked.upload_id}/{number}",
            size_bytes=1000 + number,
            sha256=str(number) * 64,
            range=range_of(number),
        )
        yield Emit(SOURCES, chunk)
    whole = SourceCut(
        video_id=asked.video_id,
        upload_id=asked.upload_id,
        epoch=asked.epoch,
        attempt=asked.attempt,
        chunks=CHUNKS,
        segments=CHUNKS,
        frames=CHUNKS * FRAMES_A_CHUNK,
    )
    yield Emit(SOURCES, whole)


def audio(recorded: Recorded[AudioRequested], ports: WorkPorts) -> Outputs:
    asked = recorded.event
    yield started("audio", asked, ports)
    made = AudioEncoded(
        video_id=asked.video_id,
        upload_id=asked.upload_id,
        epoch=asked.epoch,
        attempt=asked.attempt,
        rendition=asked.rendition,
        recipe=asked.recipe,
        language=asked.audio.language,
        codec="mp4a.40.2",
        channels=2,
        sample_rate_hz=48_000,
        segments=tuple(SegmentMade(n, 288_000, 90_000 + n, 282) for n in range(CHUNKS)),
        loudness_lufs=-23.0,
        gain_db=9.0,
        cpu_seconds=1.0,
    )
    yield Emit(SOURCES, made)


def poster(recorded: Recorded[PosterRequested], ports: WorkPorts) -> Outputs:
    asked = recorded.event
    yield started("poster", asked, ports)
    made = PosterMade(asked.video_id, asked.epoch, f"images/{asked.video_id}.jpg", 640, 360, 9_000)
    yield Emit(THUMBNAILS, made)


def encode(recorded: Recorded[EncodeRequested], ports: WorkPorts) -> Outputs:
    asked = recorded.event
    number, group = asked.range.number, asked.rungs[0].group
    begun = EncodeWorkStarted(
        asked.video_id, asked.epoch, asked.attempt, number, group, ports.worker
    )
    yield Emit(RENDITIONS, begun)
    for rung in asked.rungs:
        ticks = asked.grid.timescale * SEGMENT_S
        size_bytes = rung.maxrate_bps // 10 + number
        made = ChunkEncoded(
            video_id=asked.video_id,
            upload_id=asked.upload_id,
            epoch=asked.epoch,
            attempt=asked.attempt,
            number=number,
            rung=rung.name,
            object_key=asked.object_key,
            chunk_sha256=asked.chunk_sha256,
            range=asked.range,
            recipe=rung.recipe,
            codec="avc1.64001e",
            init_sha256=rung.recipe,
            segments=(SegmentMade(number, ticks, size_bytes, FRAMES_A_CHUNK),),
            frames=FRAMES_A_CHUNK,
            repeated_frames=0,
            vbv_shortage_bits=0,
            cpu_seconds=0.5,
            reused=False,
            worker=ports.worker,
        )
        yield Emit(RENDITIONS, made)


def package(recorded: Recorded[PackageRequested], ports: WorkPorts) -> Outputs:
    asked = recorded.event
    name = "final" if asked.final else "master"
    written = PlaylistsWritten(
        video_id=asked.video_id,
        epoch=asked.epoch,
        attempt=asked.attempt,
        sequence=asked.sequence,
        final=asked.final,
        hls_key=f"videos/{asked.video_id}/{name}.m3u8",
        dash_key=f"videos/{asked.video_id}/{name}.mpd" if asked.final else "",
        worker=ports.worker,
    )
    yield Emit(PUBLICATIONS, written)


def delete(recorded: Recorded[DeletionRequested], ports: WorkPorts) -> Outputs:
    asked = recorded.event
    yield Emit(PUBLICATIONS, ObjectsDeleted(asked.video_id, asked.reason, len(asked.prefixes)))


def rekey(recorded: Recorded[bytes], ports: WorkPorts) -> Outputs:
    """The body is `video upload size` here; the real dialect has tests of its own."""
    video_id, upload_id, size = recorded.event.decode().split()
    seen = ObjectSeen(video_id, upload_id, f"originals/{video_id}/{upload_id}", int(size), "etag")
    yield Emit(UPLOADS, seen)


FAKES: dict[str, Callable[[Recorded[Any], WorkPorts], Outputs]] = {
    "rekey": rekey,
    "probe": probe,
    "cut": cut,
    "audio": audio,
    "poster": poster,
    "encode": encode,
    "package": package,
    "delete": delete,
}


def simulated() -> tuple[Topology, ...]:
    """The real topologies with these tasks; a work without one fails the simulation at once."""
    return tuple(
        replace(
            topology,
            steps=tuple(
                replace(step, do=FAKES[step.name]) if isinstance(step, Work) else step
                for step in topology.steps
            ),
        )
        for topology in TOPOLOGIES
    )
