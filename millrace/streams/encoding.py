"""The topology of encoding: chunks and rungs are encoded by all workers and joined."""

from collections.abc import Iterator
from dataclasses import replace

from millrace.processors import encoding
from millrace.processors.emit import Emit
from millrace.processors.media.encode import EncodedRung, encode
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    ChunkEncoded,
    EncodeFailed,
    EncodeRequested,
    EncodeWorkStarted,
    Rung,
)
from millrace.schemas.topics import (
    DEAD_LETTERS,
    DELETION_REQUESTS,
    ENCODE_REQUESTS_BACKFILL,
    ENCODE_REQUESTS_NORMAL,
    ENCODE_REQUESTS_URGENT,
    PUBLICATIONS,
    RENDITIONS,
    SOURCES,
)
from millrace.sinks import tables
from millrace.streams import outputs, rows
from millrace.streams.declarations import Failure, Fold, Project, Topology, Work, WorkPorts
from millrace.streams.failures import failed_attempt

LANES = (ENCODE_REQUESTS_URGENT, ENCODE_REQUESTS_NORMAL, ENCODE_REQUESTS_BACKFILL)
# A chunk is at most 24 s; 2160p takes 0.2 CPU-s a frame at 60 frames a second.
CHUNK_TIMEOUT_S = 900.0


def started(request: EncodeRequested, ports: WorkPorts) -> Emit:
    event = EncodeWorkStarted(
        video_id=request.video_id,
        epoch=request.epoch,
        attempt=request.attempt,
        number=request.range.number,
        group=request.rungs[0].group,
        worker=ports.worker,
    )
    return Emit(RENDITIONS, event)


def do_encode(recorded: Recorded[EncodeRequested], ports: WorkPorts) -> Iterator[Emit]:
    """One chunk, one decode, all rungs of the group; rungs that stand there are said again."""
    request = recorded.event
    yield started(request, ports)
    missing = []
    for rung in request.rungs:
        made = outputs.noted(ports.objects, note_key(request, rung))
        if isinstance(made, ChunkEncoded):
            yield Emit(RENDITIONS, said_again(made, request, ports))
        else:
            missing.append(rung)
    if not missing:
        return
    chunk = ports.scratch / "chunk"
    ports.objects.download(request.object_key, chunk)
    out_dir = ports.scratch / "out"
    out_dir.mkdir()
    ports.point("encode.begin")
    for encoded in encode(
        chunk, request.video, request.grid, request.range, tuple(missing), out_dir
    ):
        event = stored(encoded, request, ports)
        ports.point("encode.put")
        yield Emit(RENDITIONS, event)
        ports.point("encode.said")


def note_key(request: EncodeRequested, rung: Rung) -> str:
    return outputs.note_key(request.video_id, rung.name, rung.recipe, str(request.range.number))


def said_again(made: ChunkEncoded, request: EncodeRequested, ports: WorkPorts) -> ChunkEncoded:
    return replace(
        made,
        upload_id=request.upload_id,
        epoch=request.epoch,
        attempt=request.attempt,
        object_key=request.object_key,
        cpu_seconds=0.0,
        reused=True,
        worker=ports.worker,
    )


def stored(encoded: EncodedRung, request: EncodeRequested, ports: WorkPorts) -> ChunkEncoded:
    """Puts the segments, then the note; the event is said when both are there."""
    rung = encoded.rung
    prefix = outputs.prefix_of(request.video_id, rung.name, rung.recipe)
    init_sha256 = outputs.put_media(ports.objects, prefix, encoded.init_path, encoded.segments)
    event = ChunkEncoded(
        video_id=request.video_id,
        upload_id=request.upload_id,
        epoch=request.epoch,
        attempt=request.attempt,
        number=request.range.number,
        rung=rung.name,
        object_key=request.object_key,
        chunk_sha256=request.chunk_sha256,
        range=request.range,
        recipe=rung.recipe,
        codec=encoded.codec,
        init_sha256=init_sha256,
        segments=tuple(segment for segment, _ in encoded.segments),
        frames=encoded.frames,
        repeated_frames=encoded.repeated_frames,
        vbv_shortage_bits=encoded.vbv_shortage_bits,
        cpu_seconds=encoded.cpu_seconds,
        reused=False,
        worker=ports.worker,
    )
    outputs.note(ports.objects, note_key(request, rung), event)
    return event


def failed(recorded: Recorded[EncodeRequested], failure: Failure) -> list[Emit]:
    number, group = recorded.event.range.number, recorded.event.rungs[0].group
    return failed_attempt(EncodeFailed, RENDITIONS, recorded, failure, number=number, group=group)


ENCODING_TOPOLOGY = Topology(
    name="encoding",
    lead=RENDITIONS,
    steps=(
        Fold(
            name="encoding",
            version=1,
            reads=(SOURCES, RENDITIONS, PUBLICATIONS),
            writes=(*LANES, RENDITIONS, DELETION_REQUESTS, DEAD_LETTERS),
            state=encoding.Join,
            apply=encoding.apply,
            deadline=encoding.deadline,
            waiting=encoding.waiting,
        ),
        Work(
            name="encode",
            lanes=LANES,
            takes=(EncodeRequested,),
            writes=(RENDITIONS,),
            do=do_encode,
            failed=failed,
            still_wanted=outputs.still_wanted,
            timeout_s=CHUNK_TIMEOUT_S,
        ),
        Project("progress-rows", RENDITIONS, tables.PROGRESS, rows.progress),
        Project("segment-rows", RENDITIONS, tables.SEGMENTS, rows.segments),
    ),
)
