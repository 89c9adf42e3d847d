"""Cutting: one pass through a source, packets copied into chunks of exact frames (TRN-2).

A chunk file holds every packet from the last keyframe at or before the range to the first packet
that can't matter any more; who decodes it keeps the frames in [lo, hi) that are not hidden. So
chunks need not fall on keyframes, and open GOPs, edit lists and offsets lose no frame. It must
never seek: seeking in MPEG-TS lands up to 240 frames late (measured).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from millrace.processors.media.decode_order import increasing_dts, leading_dts
from millrace.processors.media.failures import MediaFailed
from millrace.processors.media.source import Packet, is_hidden, opened, packets
from millrace.processors.media.timeline import chunk_of, chunk_start_pts, segments_in
from millrace.schemas.events import ChunkRange, Grid, VideoTrack

CONTAINER = "nut"
"""NUT keeps every timestamp that is not negative, in a time base that divides the source's (it
halves 1/12800 to 1/51200); Matroska rounds to 1 ms, fragmented MP4 shifts by the reorder delay
(measured)."""


@dataclass(frozen=True, slots=True)
class CutChunk:
    """A whole chunk file: what it shows, where it lies, how long it is."""

    range: ChunkRange
    path: Path
    bytes: int


@dataclass(frozen=True, slots=True)
class _Copied:
    """A packet of the track with its timestamps in the source's time base."""

    packet: Packet
    pts: int
    dts: int
    hidden: bool


@dataclass(slots=True)
class _Chunk:
    """A chunk that is being written."""

    number: int
    path: Path
    output: OutputContainer
    stream: VideoStream
    lo_pts: int
    hi_pts: int | None
    next_pts: int | None = None
    shown: set[int] = field(default_factory=set)
    hidden: set[int] = field(default_factory=set)

    def is_over(self, dts: int) -> bool:
        """Whether no packet from `dts` on belongs here, and the joint is known for certain."""
        return self.next_pts is not None and dts >= self.next_pts

    def note(self, copied: _Copied) -> None:
        if copied.pts < self.lo_pts:
            return
        if self.hi_pts is None or copied.pts < self.hi_pts:
            (self.hidden if copied.hidden else self.shown).add(copied.pts)
        elif not copied.hidden and (self.next_pts is None or copied.pts < self.next_pts):
            self.next_pts = copied.pts


def cut(path: Path, track: VideoTrack, grid: Grid, out_dir: Path) -> Iterator[CutChunk]:
    """Cut the source at `path` into chunk files in `out_dir`, each yielded as soon as it is whole.

    Equal input gives equal bytes. Empty cells of the grid join their predecessor, so numbers may
    be skipped and the count is known only at the end. The packets since the last keyframe are held
    in memory, at most `timeline.GOP_MS_MAX` of them, since longer GOPs make a single chunk.

    Raises Refused `truncated` or `not_a_video` where the source is not what was probed any more,
    MediaFailed `cut_failed` where a chunk can't be written or frames are missing, OSError.
    """
    with opened(path) as container:
        cutter = _Cutter(container, track, grid, out_dir)
        try:
            yield from cutter.run()
        finally:
            cutter.abandon()


class _Cutter:
    """The state of one pass: the open chunk, and the packets that the next one may begin with."""

    def __init__(
        self, container: InputContainer, track: VideoTrack, grid: Grid, out_dir: Path
    ) -> None:
        self._container = container
        self._track = track
        self._grid = grid
        self._out_dir = out_dir
        self._time_base = Fraction(track.time_base_num, track.time_base_den)
        self._segments = 0
        self._frames = 0
        self._shift: int | None = None
        self._head: list[_Copied] = []
        self._open: _Chunk | None = None

    def run(self) -> Iterator[CutChunk]:
        for copied in self._copied():
            if self._shift is None:
                self._shift = max(0, -copied.dts)
            chunk = self._open or self._begin(self._track.start_pts)
            while chunk.is_over(copied.dts):
                assert chunk.next_pts is not None
                yield self._finish(chunk, chunk.next_pts)
                chunk = self._begin(chunk.next_pts)
            self._hold(copied, chunk)
            self._write(chunk, copied)
        yield from self._rest()

    def _rest(self) -> Iterator[CutChunk]:
        """Finish what is open when the source ends: the end decides what dts could not."""
        while (chunk := self._open) is not None:
            after = chunk.next_pts
            yield self._finish(chunk, self._track.end_pts if after is None else after)
            if after is not None:
                self._begin(after)
        if self._frames != self._track.frames:
            raise MediaFailed(
                "cut_failed", f"{self._frames} frames were cut of {self._track.frames} probed."
            )

    def abandon(self) -> None:
        """Close a chunk that was not finished; its file is no chunk."""
        if self._open is not None:
            self._open.output.close()
            self._open = None

    def _copied(self) -> Iterator[_Copied]:
        """The track's packets from the first keyframe on, none without a decode timestamp."""
        found = self._from_first_key()
        leading: list[Packet] = []
        dts: int | None = None
        for packet in found:
            if packet.dts is not None:
                dts = packet.dts
                found = chain([packet], found)
                break
            leading.append(packet)
        pts = [self._pts(packet) for packet in leading]
        missing = leading_dts(pts, dts, self._track.reorder_pts)
        for packet, own, derived in zip(leading, pts, missing, strict=True):
            yield self._described(packet, own, derived)
        before: int | None = None
        for packet in found:
            before = increasing_dts(before, packet.dts)
            assert before is not None, "the first of these has a decode timestamp"
            yield self._described(packet, self._pts(packet), before)

    def _from_first_key(self) -> Iterator[Packet]:
        started = False
        for packet in packets(self._container, self._track.stream_index):
            started = started or packet.is_keyframe
            if started:
                yield packet

    def _pts(self, packet: Packet) -> int:
        assert packet.pts is not None, "the probe refuses missing timestamps"
        return packet.pts

    def _described(self, packet: Packet, pts: int, dts: int) -> _Copied:
        hidden = is_hidden(self._container, self._track.codec, packet)
        return _Copied(packet, pts, dts, hidden)

    def _hold(self, copied: _Copied, chunk: _Chunk) -> None:
        """Keep what the next chunk needs: all since the last keyframe at or before its border.

        A keyframe after the border may still be its first frame, but that shows only when the
        leading pictures of an open GOP have come; `_begin` decides.
        """
        if chunk.hi_pts is None:
            self._head.clear()
            return
        if copied.packet.is_keyframe and copied.pts <= chunk.hi_pts:
            self._head.clear()
        self._head.append(copied)

    def _begin(self, first_pts: int) -> _Chunk:
        """Open the chunk whose first frame is at `first_pts`, with the packets held for it."""
        number = chunk_of(self._track, self._grid, first_pts)
        border = chunk_start_pts(self._track, self._grid, number + 1)
        path = self._out_dir / f"{number}.{CONTAINER}"
        output, stream = self._output(number, path)
        self._open = chunk = _Chunk(
            number=number,
            path=path,
            output=output,
            stream=stream,
            lo_pts=chunk_start_pts(self._track, self._grid, number),
            hi_pts=None if border >= self._track.end_pts else border,
        )
        held, self._head = self._head, []
        start = max(
            (i for i, c in enumerate(held) if c.packet.is_keyframe and c.pts <= first_pts),
            default=0,
        )
        for copied in held[start:]:
            self._hold(copied, chunk)
            self._write(chunk, copied)
        return chunk

    def _output(self, number: int, path: Path) -> tuple[OutputContainer, VideoStream]:
        template = self._container.streams[self._track.stream_index]
        assert isinstance(template, VideoStream)
        try:
            output = av.open(str(path), "w", format=CONTAINER, options={"fflags": "+bitexact"})
            stream = output.add_stream_from_template(template)
        except Exception as error:
            raise MediaFailed("cut_failed", f"Chunk {number}: {error}") from error
        stream.time_base = self._time_base
        return output, stream

    def _write(self, chunk: _Chunk, copied: _Copied) -> None:
        assert self._shift is not None
        chunk.note(copied)
        packet = copied.packet
        packet.stream = chunk.stream
        packet.time_base = self._time_base
        packet.pts = copied.pts + self._shift
        packet.dts = copied.dts + self._shift
        try:
            chunk.output.mux_one(packet)
        except Exception as error:
            raise MediaFailed("cut_failed", f"Chunk {chunk.number}: {error}") from error

    def _finish(self, chunk: _Chunk, next_pts: int) -> CutChunk:
        """Close the file and say what it shows. `next_pts` is the joint."""
        self._open = None
        try:
            chunk.output.close()
        except Exception as error:
            raise MediaFailed("cut_failed", f"Chunk {chunk.number}: {error}") from error
        assert self._shift is not None
        if chunk.next_pts is None:
            hi_pts = None
        else:
            following = chunk_of(self._track, self._grid, chunk.next_pts)
            hi_pts = chunk_start_pts(self._track, self._grid, following)
        shown = sorted(chunk.shown)
        segments = segments_in(self._track, self._grid, shown)
        described = ChunkRange(
            number=chunk.number,
            lo_pts=chunk.lo_pts,
            hi_pts=hi_pts,
            next_pts=next_pts,
            shift_pts=self._shift,
            first_segment=self._segments,
            segments=segments,
            frames=len(shown),
            hidden_pts=tuple(sorted(chunk.hidden)),
        )
        self._segments += segments
        self._frames += len(shown)
        return CutChunk(described, chunk.path, chunk.path.stat().st_size)
