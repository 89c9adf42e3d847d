"""What a chunk file shows: its timestamps from the packets, then its pictures, one for each.

A packet that does not decode must cost a viewer no more than a picture that stands still for a
moment: where a frame is missing the one before it is shown again, at the missing one's time, so
that what is counted and timed stays a pure function of the source's timestamps. This module must
never yield a frame that another chunk shows, or use a second thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from millrace.processors.media.failures import MediaFailed
from millrace.schemas.events import ChunkRange, VideoTrack

REPEATED_SHARE_MAX = Fraction(1, 2)
"""A chunk of which more than this does not decode is a failure and no video: a decoder that is
missing or broken looks like that, and the next attempt may run on another machine."""


class ChunkPictures:
    """The pictures of a chunk file.

    `repeated` counts frames that did not decode and are shown as the one before them (at the
    chunk's start: the one after), once `planned` has ended.
    """

    def __init__(self, path: Path, track: VideoTrack, chunk: ChunkRange) -> None:
        self._path = path
        self._track = track
        self._chunk = chunk
        self._source_base = Fraction(track.time_base_num, track.time_base_den)
        self._hidden = frozenset(chunk.hidden_pts)
        self.repeated = 0

    def shows(self, pts: int) -> bool:
        """Whether the chunk shows the frame at `pts`: it is in its range and not hidden."""
        chunk = self._chunk
        ends = chunk.hi_pts is not None and pts >= chunk.hi_pts
        return chunk.lo_pts <= pts and not ends and pts not in self._hidden

    def shown(self) -> list[int]:
        """Timestamps of the frames that the chunk shows, ascending, from its packets alone.

        Raises MediaFailed `chunk_unreadable`, or `frames_differ` where they are not as many as
        were cut.
        """
        shown: set[int] = set()
        with self._opened() as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.pts is not None and packet.time_base is not None:
                    shown.add(self._source_pts(packet.pts, packet.time_base))
        shown = {pts for pts in shown if self.shows(pts)}
        if len(shown) != self._chunk.frames:
            raise MediaFailed(
                "frames_differ", f"{len(shown)} frames in a chunk of {self._chunk.frames}"
            )
        return sorted(shown)

    def planned(
        self, wanted: Sequence[int], *, deblocked: bool
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Yield (pts, frame) for each of `wanted` (ascending), in order, each once.

        A deinterlacer looks at both neighbours: it is also given the frame before the first and
        the one after the last. Raises MediaFailed `chunk_unreadable`, or `frames_differ` where
        too few frames decode.
        """
        interlaced = self._track.field_order != "progressive"
        waiting = deque(wanted)
        neighbour: tuple[int, VideoFrame] | None = None
        self.repeated = 0
        last: VideoFrame | None = None
        for pts, frame in self.decoded(deblocked=deblocked):
            if neighbour is not None and waiting and waiting[0] <= pts:
                yield neighbour
                neighbour = None
            yield from self._stand_ins(waiting, pts, last or frame)
            if waiting and waiting[0] == pts:
                yield waiting.popleft(), frame
            elif interlaced and not waiting:
                yield pts, frame
                break
            elif interlaced:
                neighbour = pts, frame
            if not waiting and not interlaced:
                break
            last = frame
        if waiting and last is not None:
            yield from self._stand_ins(waiting, None, last)
        if waiting or self.repeated > REPEATED_SHARE_MAX * len(wanted):
            text = f"{len(waiting) + self.repeated} frames of {len(wanted)} did not decode"
            raise MediaFailed("frames_differ", text)

    def _stand_ins(
        self, waiting: deque[int], until: int | None, frame: VideoFrame
    ) -> Iterator[tuple[int, VideoFrame]]:
        """`frame` for every timestamp waited for before `until`: no packet decoded to theirs."""
        while waiting and (until is None or waiting[0] < until):
            self.repeated += 1
            yield waiting.popleft(), frame

    def decoded(self, *, deblocked: bool = True) -> Iterator[tuple[int, VideoFrame]]:
        """Yield every frame that decodes, with its timestamp in the source.

        Those of neighbouring chunks too; `shows` tells. Raises MediaFailed `chunk_unreadable`.
        """
        with self._opened() as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            if not deblocked:
                stream.codec_context.options = {"skip_loop_filter": "all"}
            for packet in container.demux(stream):
                for frame in _frames_of(packet):
                    if frame.pts is not None and frame.time_base is not None:
                        yield self._source_pts(frame.pts, frame.time_base), frame

    def _opened(self) -> InputContainer:
        try:
            return av.open(self._path)
        except Exception as error:  # libraries raise far more than FFmpegError on damaged input
            raise MediaFailed("chunk_unreadable", f"{self._path.name}: {error!r}") from error

    def _source_pts(self, pts: int, time_base: Fraction) -> int:
        """Timestamp in the source: time base of the track, without the chunk file's shift."""
        return round(pts * time_base / self._source_base) - self._chunk.shift_pts


def _frames_of(packet: Packet[VideoStream]) -> list[VideoFrame]:
    """The frames that a packet gives; none where it is damaged, as the next one may not be."""
    try:
        return packet.decode()
    except Exception:  # noqa: BLE001 - any exception means: this packet gives no frame
        return []
