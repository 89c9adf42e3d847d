"""Encode one chunk for a group of rungs: one decode, one graph, one encoder a rung (TRN-3).

What is expected is a pure function of the source's timestamps (`timeline.schedule`); what is made
is counted against it, and every difference is a `MediaFailed`. A rung whose chunk would starve a
decoder once it is joined is encoded again, harder. This module must never use a second thread or
let an encoder place a keyframe of its own.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from millrace.processors.media.decode import ChunkPictures
from millrace.processors.media.failures import MediaFailed
from millrace.processors.media.graph import LadderGraph, shape_of
from millrace.processors.media.segments import SegmentWriter, open_encoder_container
from millrace.processors.media.timeline import TimedFrame, schedule, tick_of
from millrace.processors.media.vbv import FULLNESS_FIRST, FULLNESS_JOINED, Leak
from millrace.schemas.events import ChunkRange, Grid, Rung, SegmentMade, VideoTrack

_SHRUNK_MIN = 4
"""Pixels of the source for each of the lowest rung's, for its pass to leave deblocking out: 8 %
more CPU for a pass of its own at 240p, 13 % with deblocking (measured)."""

_CRF_MAX = 51.0
"""x264's worst quality."""

_GOP_UNLIMITED = 1 << 30
"""Only the grid places keyframes (x264's keyint=infinite)."""

_BT709 = 1
_RANGE_TV = 1


@dataclass(frozen=True, slots=True)
class _Attempt:
    """How hard to encode: `crf_more` is added to the rung's, `fullness_share` is the part of what
    the decoder's buffer holds that the encoder is told of. Neither changes the init segment."""

    crf_more: float
    fullness_share: float


_ATTEMPTS = (
    _Attempt(0.0, 1.0),
    _Attempt(3.0, 0.6),
    _Attempt(8.0, 0.25),
    _Attempt(16.0, 0.1),
)
"""The first is what a rung asks for. A lower start leaves more at the end where a chunk takes all
the rate from its begin, a higher CRF where it only does at its end; each attempt asks for both."""


@dataclass(frozen=True, slots=True)
class EncodedRung:
    """What one rung of a chunk became.

    `codec` is an RFC 6381 string, `segments` are in order with their files, `frames` is their sum,
    `cpu_seconds` the CPU time of the whole group divided by its rungs. `repeated_frames` counts
    source frames that did not decode, for which the frame before is shown. `vbv_shortage_bits` is
    what even the hardest attempt lacks, else 0: whoever plays over HTTP has seconds in hand and
    sees nothing of it, so it is said and not failed over.
    """

    rung: Rung
    codec: str
    init_path: Path
    segments: tuple[tuple[SegmentMade, Path], ...]
    frames: int
    cpu_seconds: float
    repeated_frames: int
    vbv_shortage_bits: int


@dataclass(frozen=True, slots=True)
class _Job:
    """What all rungs and attempts of a chunk have in common."""

    pictures: ChunkPictures
    track: VideoTrack
    grid: Grid
    chunk: ChunkRange
    planned: tuple[TimedFrame, ...]
    deblocked: bool
    out_dir: Path


def encode(
    chunk_path: Path,
    track: VideoTrack,
    grid: Grid,
    chunk: ChunkRange,
    rungs: tuple[Rung, ...],
    out_dir: Path,
) -> tuple[EncodedRung, ...]:
    """Encode what `chunk` shows for `rungs` (lowest first) into out_dir/{rung name}/.

    Times are in ticks of `grid.timescale`. Each segment starts with an IDR frame, one stands at
    each crossing of `grid.keyframe_ms`, and the last sample lasts to `chunk.next_pts`. Equal
    input gives the same frames at the same ticks; bytes were seen to differ, by a level or two at
    the right edge of a scaled picture, in 1 of 36 chunks of long-lived workers. Raises MediaFailed
    with `chunk_unreadable`, `frames_differ`, `segment_hole`, `init_differs`, `segment_wrong` or
    `encode_failed`.
    """
    assert rungs, "a group has a rung"
    cpu_before = _cpu_seconds()
    pictures = ChunkPictures(chunk_path, track, chunk)
    deblocked = not _deblocking_is_lost(track, rungs)
    try:
        planned = schedule(track, grid, chunk, pictures.shown())
        job = _Job(pictures, track, grid, chunk, planned, deblocked, out_dir)
        made = _encode(job, rungs)
    except (MediaFailed, AssertionError):
        raise
    except Exception as error:  # libraries raise far more than FFmpegError on damaged input
        raise MediaFailed("encode_failed", f"chunk {chunk.number}: {error!r}") from error
    cpu_each = (_cpu_seconds() - cpu_before) / len(rungs)
    return tuple(
        EncodedRung(
            rung=one.rung,
            codec=one.writer.track.codec,
            init_path=one.writer.init_path,
            segments=tuple(one.writer.segments),
            frames=sum(segment.frames for segment, _ in one.writer.segments),
            cpu_seconds=cpu_each,
            repeated_frames=pictures.repeated,
            vbv_shortage_bits=one.shortage_bits,
        )
        for one in made
    )


def _encode(job: _Job, rungs: tuple[Rung, ...]) -> list[_RungEncoder]:
    """Encode all rungs, and again, harder, those that would starve a decoder's buffer."""
    made: dict[str, _RungEncoder] = {}
    for attempt in _ATTEMPTS:
        short = [rung for rung in rungs if rung.name not in made or made[rung.name].shortage_bits]
        if not short:
            break
        made |= {one.rung.name: one for one in _run(job, short, attempt)}
    return [made[rung.name] for rung in rungs]


def _run(job: _Job, rungs: Sequence[Rung], attempt: _Attempt) -> list[_RungEncoder]:
    """One decode of the chunk, and one encoder a rung."""
    encoders = [_RungEncoder(job, rung, attempt) for rung in rungs]
    time_base = Fraction(1, job.grid.timescale)
    graph: LadderGraph | None = None
    wanted = [frame.pts for frame in job.planned]
    for pts, frame in job.pictures.planned(wanted, deblocked=job.deblocked):
        if graph is not None and graph.shape != shape_of(frame):
            graph.finish()
            _feed(graph, encoders)
            graph = None
        if graph is None:
            graph = LadderGraph(job.track, rungs, frame, time_base)
        graph.push(frame, tick_of(job.track, job.grid, pts))
        _feed(graph, encoders)
    if graph is not None:
        graph.finish()
        _feed(graph, encoders)
    for encoder in encoders:
        encoder.finish()
    return encoders


def _feed(graph: LadderGraph, encoders: list[_RungEncoder]) -> None:
    for index, tick, frame in graph.pull():
        encoders[index].encode(tick, frame)


class _RungEncoder:
    """The encoder of one rung, and the segment its packets are gathered for."""

    def __init__(self, job: _Job, rung: Rung, attempt: _Attempt) -> None:
        self.rung = rung
        self.shortage_bits = 0
        planned = job.planned
        self._planned = {frame.tick: frame for frame in planned}
        self._ends: dict[int, int] = {}
        for frame in planned:
            self._ends[frame.segment] = frame.tick + frame.duration_ticks
        self._waiting = list(reversed(planned))
        self._packets: list[Packet[VideoStream]] = []
        self._segment = planned[0].segment
        self._fullness = FULLNESS_JOINED if job.chunk.number > 0 else FULLNESS_FIRST
        self._leak = Leak(rung.maxrate_bps, rung.bufsize_bits, job.grid.timescale)
        told = round(float(self._fullness) * attempt.fullness_share, 3)
        crf = min(_CRF_MAX, rung.crf + attempt.crf_more)
        self._container = open_encoder_container()
        self._stream = _add_encoder(self._container, job, rung, crf, told)
        rung_dir = job.out_dir / rung.name
        rung_dir.mkdir(parents=True, exist_ok=True)
        self.writer = SegmentWriter(self._stream, job.grid.timescale, rung_dir)

    def encode(self, tick: int, frame: VideoFrame) -> None:
        """Encode the frame if it is the next one planned; a neighbour's frame is left out."""
        planned = self._planned.get(tick)
        if planned is None:
            return
        if not self._waiting or self._waiting.pop() != planned:
            raise MediaFailed("frames_differ", f"{self.rung.name}: frame out of order at {tick}")
        # A decoded frame carries its own picture type, which would be forced on the encoder.
        frame.pict_type = PictureType.I if planned.keyframe else PictureType.NONE
        self._gather(self._stream.codec_context.encode(frame))

    def finish(self) -> None:
        """Encode what is held back and write the last segment."""
        if self._waiting:
            raise MediaFailed("frames_differ", f"{len(self._waiting)} frames did not decode")
        self._gather(self._stream.codec_context.encode(None))
        self._flush()
        self._container.close()
        made = sum(segment.frames for segment, _ in self.writer.segments)
        if made != len(self._planned):
            raise MediaFailed("frames_differ", f"{made} frames encoded of {len(self._planned)}")
        spent = [(sample.size_bytes, sample.duration) for sample in self.writer.samples]
        self.shortage_bits = self._leak.shortage_bits(spent, self._fullness)

    def _gather(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            planned = self._planned.get(packet.pts if packet.pts is not None else -1)
            if planned is None or packet.is_keyframe != planned.keyframe:
                raise MediaFailed("segment_wrong", f"a packet at {packet.pts} is off the plan")
            if planned.segment != self._segment:
                self._flush()
                self._segment = planned.segment
            self._packets.append(packet)

    def _flush(self) -> None:
        self.writer.write(self._segment, self._packets, self._ends[self._segment])
        self._packets = []


def _add_encoder(
    container: av.container.OutputContainer,
    job: _Job,
    rung: Rung,
    crf: float,
    fullness: float,
) -> VideoStream:
    """Add a stream with an opened libx264; settings as TRN-3 and the rate control ask for them."""
    stream = container.add_stream(rung.codec, rate=Fraction(job.track.rate_num, job.track.rate_den))
    assert isinstance(stream, VideoStream), "a rung is video"
    stream.time_base = Fraction(1, job.grid.timescale)
    context = stream.codec_context
    context.time_base = Fraction(1, job.grid.timescale)
    context.width, context.height, context.pix_fmt = rung.width, rung.height, "yuv420p"
    context.gop_size = _GOP_UNLIMITED
    context.thread_count = 1
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _RANGE_TV
    x264 = {"stitchable": "1", "scenecut": "0", "open-gop": "0", "vbv-init": str(fullness)}
    context.options = {
        "preset": rung.preset,
        "crf": str(crf),
        "maxrate": str(rung.maxrate_bps),
        "bufsize": str(rung.bufsize_bits),
        "forced-idr": "1",
        "x264-params": ":".join(f"{name}={value}" for name, value in x264.items()),
    }
    container.start_encoding()
    return stream


def _deblocking_is_lost(track: VideoTrack, rungs: tuple[Rung, ...]) -> bool:
    """True for the lowest rung's own pass: shrunk so far, it does not show what deblocking did."""
    small = rungs[-1].width * rungs[-1].height * _SHRUNK_MIN <= track.width * track.height
    return rungs[0].own_pass and small


def _cpu_seconds() -> float:
    """CPU time of this process: what an encode cost, never what it decides by."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
