"""Write encoded packets as CMAF: one init segment, and one fragment for each media segment.

Each segment is muxed by itself and read back, so that what is reported is what the bytes say. This
module must never let a hole pass: the next segment's tfdt is this one's tfdt plus the sum of its
durations, in ticks, or `MediaFailed` is raised (TRN-2). No player forgives that, although FFmpeg
does.

The muxer's settings are those that were found to join independent chunks without a seam: absolute
timestamps with `frag_discont` (else tfdt restarts at 0), `cmaf` for signed composition offsets
(else the first tfdt wraps), no edit list. Decode times are set here: the sorted composition times,
so that a sparse source of variable rate keeps every duration positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream

from millrace.processors.media import cmaf
from millrace.processors.media.failures import MediaFailed
from millrace.schemas.events import SegmentMade

MUXER = {
    "use_editlist": "0",
    "avoid_negative_ts": "disabled",
}
"""Options of every mp4 muxer here; the flags below differ between header and fragment."""

_BITEXACT = 0x0400
"""AVFMT_FLAG_BITEXACT; PyAV's flags are integers while its names for them are not."""

_HEADER_FLAGS = "+cmaf+empty_moov+frag_custom"
_FRAGMENT_FLAGS = _HEADER_FLAGS + "+frag_discont+skip_trailer"


class SegmentWriter:
    """Writes init.mp4 and {n}.m4s of one rendition into a directory.

    `template` is a stream of an output container whose encoder is open. `timescale` is in ticks a
    second; packets come with pts in it.
    """

    def __init__(self, template: VideoStream | AudioStream, timescale: int, out_dir: Path) -> None:
        self._template = template
        self._timescale = timescale
        self._out_dir = out_dir
        self._init = b""
        self._next_tick: int | None = None
        self.init_path = out_dir / "init.mp4"
        self.segments: list[tuple[SegmentMade, Path]] = []
        self.samples: list[cmaf.Sample] = []

    @property
    def track(self) -> cmaf.InitTrack:
        """What the init segment says; there is one after the first segment."""
        return cmaf.read_init(self._init)

    def write(self, number: int, packets: Sequence[Packet[Any]], end_tick: int) -> None:
        """Write segment `number` from packets in decode order; the last lasts to `end_tick`.

        Raises MediaFailed with `segment_hole`, `init_differs` or `segment_wrong`.
        """
        start_tick = _set_decode_times(packets, end_tick)
        if self._next_tick not in (None, start_tick):
            raise MediaFailed("segment_hole", f"{start_tick} follows {self._next_tick}")
        init, fragments = cmaf.split(self._mux(number, packets))
        if len(fragments) != 1:
            raise MediaFailed("segment_wrong", f"{len(fragments)} fragments in segment {number}")
        self._keep_init(init)
        fragment = cmaf.read_fragment(fragments[0])
        said = (fragment.decode_time, fragment.duration, len(fragment.samples))
        if said != (start_tick, end_tick - start_tick, len(packets)):
            raise MediaFailed("segment_wrong", f"segment {number} says {said}")
        if not fragment.samples[0].sync or fragment.samples[0].shown_at != start_tick:
            raise MediaFailed("segment_wrong", f"segment {number} starts with no keyframe")
        path = self._out_dir / f"{number}.m4s"
        path.write_bytes(fragments[0])
        made = SegmentMade(
            number=number,
            duration_ticks=fragment.duration,
            size_bytes=len(fragments[0]),
            frames=len(packets),
        )
        self.segments.append((made, path))
        self.samples += fragment.samples
        self._next_tick = end_tick

    def _keep_init(self, init: bytes) -> None:
        if not self._init:
            self._init = init
            self.init_path.write_bytes(init)
        elif self._init != init:
            raise MediaFailed("init_differs", "two segments of a rung have two init segments")

    def _mux(self, number: int, packets: Sequence[Packet[Any]]) -> bytes:
        target = BytesIO()
        options = MUXER | {
            "movflags": _FRAGMENT_FLAGS,
            "fragment_index": str(number + 1),
            "video_track_timescale": str(self._timescale),
        }
        with open_mp4(target, options) as container:
            stream = container.add_stream_from_template(self._template)
            for packet in packets:
                packet.stream = stream
                container.mux_one(packet)
        return target.getvalue()


def open_mp4(target: BytesIO, options: dict[str, str]) -> av.container.OutputContainer:
    """Open an mp4 muxer that writes no version string: equal input gives equal bytes."""
    container = av.open(target, "w", format="mp4", options=options)
    container.flags |= _BITEXACT
    return container


def open_encoder_container() -> av.container.OutputContainer:
    """Open a container that only lends its streams their encoders; what it writes is dropped."""
    return open_mp4(BytesIO(), MUXER | {"movflags": _HEADER_FLAGS})


def _set_decode_times(packets: Sequence[Packet[Any]], end_tick: int) -> int:
    """Give packets the sorted composition times as decode times; return the first tick.

    The muxer refuses pts < dts, so all decode times are moved back by the largest delay; it takes
    that off again, since in CMAF the first sample's composition offset is 0.
    """
    shown = [packet.pts for packet in packets if packet.pts is not None]
    if not shown or len(shown) != len(packets):
        raise MediaFailed("segment_wrong", "a segment has no frame, or a frame has no time")
    order = sorted(shown)
    delay = max(at - pts for at, pts in zip(order, shown, strict=True))
    borders = pairwise([*order, end_tick])
    for packet, (at, at_next) in zip(packets, borders, strict=True):
        packet.dts = at - delay
        packet.duration = at_next - at
    return order[0]
