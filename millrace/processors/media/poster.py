"""One still picture that stands for a video until somebody chooses another.

Path in, path out, from the first chunk's file. It must never fail over taste: a video that is all
black has a black poster.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from millrace.processors.media.decode import ChunkPictures
from millrace.processors.media.failures import MediaFailed
from millrace.processors.media.graph import LadderGraph
from millrace.schemas.events import ChunkRange, Rung, VideoTrack

WIDTH_MAX = 1280
"""Pixels; a poster is shown above a player of at most that width on common screens."""

QUALITY = 3
"""FFmpeg's scale of 1 (best) to 31 for JPEG; 3 shows no blocks at 1280 pixels."""

FRAMES_TRIED_MAX = 12
"""So many frames, spread over the chunk, are looked at before the best one is taken."""

SPREAD_MIN = 48
"""Of 256 levels: a frame whose lumas lie closer together is black, white or a fade."""

SAMPLE_SIZE = (64, 64)
LAMBDA = 118
"""FFmpeg's FF_QP2LAMBDA: how global_quality counts a quantiser."""


@dataclass(frozen=True, slots=True)
class Poster:
    """Size of the picture that was written, in pixels."""

    width: int
    height: int


def poster(chunk_path: Path, track: VideoTrack, chunk: ChunkRange, out_path: Path) -> Poster:
    """Write a JPEG of the chunk's first frame that shows something, else of its richest one.

    At most `WIDTH_MAX` wide, square pixels, turned and coloured as the video is. Equal input gives
    equal bytes. Raises MediaFailed `poster_failed` where no frame of the chunk decodes,
    `chunk_unreadable` where its file can't be read, OSError where the picture can't be written.
    """
    size = poster_size(track)
    try:
        frame = _upright(_richest(chunk_path, track, chunk), track, size)
        jpeg = _jpeg(frame)
    except MediaFailed:
        raise
    except Exception as error:
        raise MediaFailed("poster_failed", f"No poster could be made: {error!r}") from error
    out_path.write_bytes(jpeg)
    return size


def poster_size(track: VideoTrack) -> Poster:
    """Size as shown: square pixels, turned upright, never enlarged, even, at most `WIDTH_MAX`."""
    width, height = Fraction(track.width * track.sar_num, track.sar_den), Fraction(track.height)
    if track.rotation_deg in (90, 270):
        width, height = height, width
    scale = min(Fraction(1), WIDTH_MAX / width)
    return Poster(*(max(2, round(side * scale / 2) * 2) for side in (width, height)))


def _richest(chunk_path: Path, track: VideoTrack, chunk: ChunkRange) -> VideoFrame:
    """The first of the frames tried that shows something, else the one of most contrast."""
    step = max(1, chunk.frames // FRAMES_TRIED_MAX)
    best: VideoFrame | None = None
    best_spread = -1
    for index, frame in enumerate(_shown(chunk_path, track, chunk)):
        if index % step:
            continue
        spread = _spread(frame)
        if spread > best_spread:
            best, best_spread = frame, spread
        if spread >= SPREAD_MIN:
            break
    if best is None:
        raise MediaFailed("poster_failed", "No frame of the chunk could be decoded.")
    return best


def _shown(chunk_path: Path, track: VideoTrack, chunk: ChunkRange) -> Iterator[VideoFrame]:
    """The frames of the range that decode, in the order shown."""
    pictures = ChunkPictures(chunk_path, track, chunk)
    return (frame for pts, frame in pictures.decoded() if pictures.shows(pts))


def _spread(frame: VideoFrame) -> int:
    """Levels between the darkest and the brightest hundredth of the picture's lumas."""
    width, height = SAMPLE_SIZE
    plane = frame.reformat(width=width, height=height, format="gray").planes[0]
    data = bytes(plane)
    rows = (data[row * plane.line_size :][:width] for row in range(height))
    lumas = sorted(b"".join(rows))
    return lumas[-1 - len(lumas) // 100] - lumas[len(lumas) // 100]


def _upright(frame: VideoFrame, track: VideoTrack, size: Poster) -> VideoFrame:
    """The frame as the video shows it, through the same filters as every rung (BT.709, limited)."""
    still = Rung(
        name="poster",
        width=size.width,
        height=size.height,
        codec="mjpeg",
        preset="",
        crf=0.0,
        maxrate_bps=0,
        bufsize_bits=0,
        group=0,
        own_pass=False,
        recipe="",
    )
    graph = LadderGraph(track, (still,), frame, Fraction(1))
    graph.push(frame, 0)
    graph.finish()
    return next(picture for _, _, picture in graph.pull())


def _jpeg(frame: VideoFrame) -> bytes:
    """The frame as a JPEG file: full range BT.601, as JFIF says."""
    frame = frame.reformat(
        format="yuvj420p",
        src_colorspace=Colorspace.ITU709,
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    )
    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = Fraction(1)
    encoder.color_range = ColorRange.JPEG
    encoder.thread_count = 1
    encoder.flags |= Flags.qscale | Flags.bitexact
    encoder.options = {"global_quality": str(QUALITY * LAMBDA)}
    frame.pts, frame.time_base = 0, Fraction(1)
    frame.pict_type = 0
    return b"".join(bytes(packet) for part in (frame, None) for packet in encoder.encode(part))
