"""The first picture of a source: that it decodes, and what only a decoded frame can tell.

Pixel format, size, rotation, colour tags and field order are read from the first shown frame,
since containers are silent or wrong about them. It must never allocate a frame before its size
was held against the limit: 199 KB of 8192x8192 take 320 MB (measured).
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
from av.video.codeccontext import VideoCodecContext

from millrace.processors.media.failures import Refused
from millrace.processors.media.source import Packet, opened, packets

PACKETS_MAX = 1000
"""So many packets of a track may fail to give the first frame before the track is given up."""

UNKNOWN = "unknown"

PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    9: "log100", 10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1",
    14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
MATRICES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
    9: "bt2020nc", 10: "bt2020c", 14: "ictcp",
}  # fmt: skip
RANGES = {1: "tv", 2: "pc"}
"""FFmpeg's names of the code points of ITU-T H.273; what is missing here is unknown."""

FIELD_ORDERS = {2: "tt", 3: "bb", 4: "tb", 5: "bt"}
"""FFmpeg's AVFieldOrder; everything else is progressive."""


class PixelLimit(Protocol):
    """The one limit that pictures know: width times height."""

    @property
    def pixels_max(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Look:
    """What the first shown frame is. Colours by FFmpeg's names, rotation clockwise in degrees."""

    codec: str
    width: int
    height: int
    sar: Fraction
    rotation_deg: int
    pixel_format: str
    color_primaries: str
    color_transfer: str
    color_matrix: str
    color_range: str
    field_order: str


def refuse_large(width: int, height: int, limits: PixelLimit) -> None:
    """Raises Refused `frame_too_large` over the limit of pixels."""
    if width * height > limits.pixels_max:
        raise Refused(
            "frame_too_large", f"The picture is {width} x {height} pixels, which is too large."
        )


def look_at(path: Path, stream_index: int, start_pts: int, limits: PixelLimit) -> Look:
    """Decode up to the first frame at or after `start_pts`.

    Raises Refused `undecodable` or `frame_too_large`.
    """
    with opened(path) as container:
        stream = container.streams[stream_index]
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.thread_count = 1
        # The decoder itself refuses what grew beyond the limit behind the header's back.
        context.options = {"max_pixels": str(limits.pixels_max)}
        frame = _first_frame(container, context, stream_index, start_pts)
        refuse_large(frame.width, frame.height, limits)
        sar = stream.sample_aspect_ratio or Fraction(1)
        order = FIELD_ORDERS.get(int(context.field_order), "progressive")
        if order == "progressive" and frame.interlaced_frame:
            order = "tt"
        return Look(
            codec=context.name,
            width=frame.width,
            height=frame.height,
            sar=sar if sar > 0 else Fraction(1),
            rotation_deg=round(-frame.rotation / 90) * 90 % 360,
            pixel_format=frame.format.name,
            color_primaries=PRIMARIES.get(int(frame.color_primaries), UNKNOWN),
            color_transfer=TRANSFERS.get(int(frame.color_trc), UNKNOWN),
            color_matrix=MATRICES.get(int(frame.colorspace), UNKNOWN),
            color_range=RANGES.get(int(frame.color_range), UNKNOWN),
            field_order=order,
        )


def _first_frame(
    container: av.container.InputContainer,
    context: VideoCodecContext,
    stream_index: int,
    start_pts: int,
) -> av.VideoFrame:
    tried = 0
    started = False
    for packet in packets(container, stream_index):
        started = started or packet.is_keyframe
        if not started:
            continue
        tried += 1
        for frame in _decoded(context, packet):
            if frame.pts is None or frame.pts >= start_pts:
                return frame
        if tried >= PACKETS_MAX:
            break
    for frame in _decoded(context, None):
        if frame.pts is None or frame.pts >= start_pts:
            return frame
    raise Refused("undecodable", "The video's pictures can't be decoded.")


def _decoded(context: VideoCodecContext, packet: Packet | None) -> list[av.VideoFrame]:
    """The frames that a packet gives; none where it is damaged, as the next one may not be."""
    try:
        return context.decode(packet)
    except Exception:  # noqa: BLE001 - any exception means: this packet gives no frame
        return []
