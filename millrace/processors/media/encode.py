"""Encode one chunk for a group of rungs: one decode, one graph, one encoder a rung (TRN-3).

What is expected is a pure function of the source's timestamps (`timeline.schedule`); what is made
is counted against it, and every difference is a `MediaFailed`. This module must never use a second
thread, let an encoder place a keyframe of its own, or keep a frame that another chunk shows.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from millrace.processors.media.failures import MediaFailed
from millrace.processors.media.graph import LadderGraph, shape_of
from millrace.processors.media.segments import SegmentWriter, open_encoder_container
from millrace.processors.media.timeline import TimedFrame, schedule, tick_of
from millrace.schemas.events import ChunkRange, Grid, Rung, SegmentMade, VideoTrack

_FIRST_GROUP = 0
_SHRUNK_MIN = 4
"""Pixels of the source for each of the lowest rung's, for its pass to leave deblocking out: 8 %
more CPU for a pass of its own at 240p, 13 % with deblocking (measured)."""

_VBV_INIT_JOINED = 0.5
"""Buffer fullness that every chunk but the first starts from: 0.0 % more bits; without it 9.4 %
and the joined stream underflows the decoder's buffer by up to 24 Mbit (measured)."""

_GOP_UNLIMITED = 1 << 30
"""Only the grid places keyframes (x264's keyint=infinite)."""

_BT709 = 1
_RANGE_TV = 1


@dataclass(frozen=True, slots=True)
class EncodedRung:
    """What one rung of a chunk became.

    `codec` is an RFC 6381 string, `segments` are in order with their files, `frames` is their sum,
    `cpu_seconds` the CPU time of the whole group divided by its rungs.
    """

    rung: Rung
    codec: str
    init_path: Path
    segments: tuple[tuple[SegmentMade, Path], ...]
    frames: int
    cpu_seconds: float


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
    input gives equal bytes. Raises MediaFailed with `chunk_unreadable`, `frames_differ`,
    `segment_hole`, `init_differs`, `segment_wrong` or `encode_failed`.
    """
    assert rungs, "a group has a rung"
    cpu_before = _cpu_seconds()
    try:
        made = _encode(chunk_path, track, grid, chunk, rungs, out_dir)
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
        )
        for one in made
    )


def _encode(
    chunk_path: Path,
    track: VideoTrack,
    grid: Grid,
    chunk: ChunkRange,
    rungs: tuple[Rung, ...],
    out_dir: Path,
) -> list[_RungEncoder]:
    planned = schedule(track, grid, chunk, _shown(chunk_path, track, chunk))
    encoders = [_RungEncoder(rung, track, grid, chunk, planned, out_dir) for rung in rungs]
    time_base = Fraction(1, grid.timescale)
    graph: LadderGraph | None = None
    for pts, frame in _wanted(chunk_path, track, chunk, rungs, planned):
        if graph is not None and graph.shape != shape_of(frame):
            graph.finish()
            _feed(graph, encoders)
            graph = None
        if graph is None:
            graph = LadderGraph(track, rungs, frame, time_base)
        graph.push(frame, tick_of(track, grid, pts))
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

    def __init__(
        self,
        rung: Rung,
        track: VideoTrack,
        grid: Grid,
        chunk: ChunkRange,
        planned: tuple[TimedFrame, ...],
        out_dir: Path,
    ) -> None:
        self.rung = rung
        self._planned = {frame.tick: frame for frame in planned}
        self._ends: dict[int, int] = {}
        for frame in planned:
            self._ends[frame.segment] = frame.tick + frame.duration_ticks
        self._waiting = list(reversed(planned))
        self._packets: list[Packet[VideoStream]] = []
        self._segment = planned[0].segment
        self._container = open_encoder_container()
        self._stream = _add_encoder(self._container, rung, track, grid, chunk)
        rung_dir = out_dir / rung.name
        rung_dir.mkdir(parents=True, exist_ok=True)
        self.writer = SegmentWriter(self._stream, grid.timescale, rung_dir)

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
    rung: Rung,
    track: VideoTrack,
    grid: Grid,
    chunk: ChunkRange,
) -> VideoStream:
    """Add a stream with an opened libx264; settings as TRN-3 and the rate control ask for them."""
    stream = container.add_stream(rung.codec, rate=Fraction(track.rate_num, track.rate_den))
    assert isinstance(stream, VideoStream), "a rung is video"
    stream.time_base = Fraction(1, grid.timescale)
    context = stream.codec_context
    context.time_base = Fraction(1, grid.timescale)
    context.width, context.height, context.pix_fmt = rung.width, rung.height, "yuv420p"
    context.gop_size = _GOP_UNLIMITED
    context.thread_count = 1
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _RANGE_TV
    x264 = {"stitchable": "1", "scenecut": "0", "open-gop": "0"}
    if chunk.number > 0:
        x264["vbv-init"] = str(_VBV_INIT_JOINED)
    context.options = {
        "preset": rung.preset,
        "crf": str(rung.crf),
        "maxrate": str(rung.maxrate_bps),
        "bufsize": str(rung.bufsize_bits),
        "forced-idr": "1",
        "x264-params": ":".join(f"{name}={value}" for name, value in x264.items()),
    }
    container.start_encoding()
    return stream


def _shown(chunk_path: Path, track: VideoTrack, chunk: ChunkRange) -> list[int]:
    """Timestamps of the frames that the chunk shows, ascending, from its packets alone."""
    hidden = set(chunk.hidden_pts)
    shown: set[int] = set()
    with _open(chunk_path) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.pts is not None and packet.time_base is not None:
                pts = _source_pts(packet.pts, packet.time_base, track, chunk)
                if _belongs(pts, chunk) and pts not in hidden:
                    shown.add(pts)
    if len(shown) != chunk.frames:
        raise MediaFailed("frames_differ", f"{len(shown)} frames in a chunk of {chunk.frames}")
    return sorted(shown)


def _wanted(
    chunk_path: Path,
    track: VideoTrack,
    chunk: ChunkRange,
    rungs: tuple[Rung, ...],
    planned: tuple[TimedFrame, ...],
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode the chunk and yield (pts, frame) of the planned frames, in order, each once.

    A deinterlacer is also given the frame before and after: it looks at both neighbours.
    """
    wanted = {frame.pts for frame in planned}
    interlaced = track.field_order != "progressive"
    before: tuple[int, VideoFrame] | None = None
    with _open(chunk_path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if _deblocking_is_lost(track, rungs):
            stream.codec_context.options = {"skip_loop_filter": "all"}
        for frame in container.decode(stream):
            if frame.pts is None or frame.time_base is None:
                continue
            pts = _source_pts(frame.pts, frame.time_base, track, chunk)
            if pts in wanted:
                wanted.remove(pts)
                if before is not None:
                    yield before
                    before = None
                yield pts, frame
            elif interlaced and wanted:
                before = pts, frame
            elif interlaced:
                yield pts, frame
                return


def _deblocking_is_lost(track: VideoTrack, rungs: tuple[Rung, ...]) -> bool:
    """True for the lowest rung's own pass: shrunk so far, it does not show what deblocking did."""
    small = rungs[-1].width * rungs[-1].height * _SHRUNK_MIN <= track.width * track.height
    return rungs[0].group == _FIRST_GROUP and len(rungs) == 1 and small


def _open(chunk_path: Path) -> InputContainer:
    try:
        return av.open(chunk_path)
    except Exception as error:  # libraries raise far more than FFmpegError on damaged input
        raise MediaFailed("chunk_unreadable", f"{chunk_path.name}: {error!r}") from error


def _source_pts(pts: int, time_base: Fraction, track: VideoTrack, chunk: ChunkRange) -> int:
    """Timestamp in the source: time base of the track, without the chunk file's shift."""
    return round(pts * time_base * track.time_base_den / track.time_base_num) - chunk.shift_pts


def _belongs(pts: int, chunk: ChunkRange) -> bool:
    return chunk.lo_pts <= pts and (chunk.hi_pts is None or pts < chunk.hi_pts)


def _cpu_seconds() -> float:
    """CPU time of this process: what an encode cost, never what it decides by."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
