"""Builders for encodes: pictures that spell a number, chunk files of them, tracks and rungs.

Chunk files are lossless and have one tick of their time base a frame if not told otherwise, so
what an encode shows can be compared with what was painted. It must never cut or probe.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from millrace.processors.media import cmaf
from millrace.processors.media.encode import EncodedRung, encode
from millrace.processors.media.timeline import grid_of
from millrace.schemas.events import ChunkRange, Grid, Rung, VideoTrack
from tests.builders import make_video_track

SIZE = (192, 108)
BITS = 8
BLACK, WHITE = 16, 235

# Values of one plane's rows, for the plane's width and height.
Paint = Callable[[int, int], bytes]


def flat(value: int) -> Paint:
    return lambda width, height: bytes([value]) * (width * height)


def numbered(number: int) -> Paint:
    """Eight upright bars that spell a number in binary, highest bit first."""

    def paint(width: int, height: int) -> bytes:
        row = b"".join(
            bytes([WHITE if number >> bit & 1 else BLACK]) * (width // BITS)
            for bit in reversed(range(BITS))
        )
        return row.ljust(width, row[-1:]) * height

    return paint


def number_of(frame: VideoFrame) -> int:
    """Read what `numbered` painted."""
    luma = rows_of(frame, 0)
    row = luma[len(luma) // 2]
    step = len(row) // BITS
    return sum((row[step * n + step // 2] > 125) << (BITS - 1 - n) for n in range(BITS))


def rows_of(frame: VideoFrame, plane: int) -> list[bytes]:
    data, stride = bytes(frame.planes[plane]), frame.planes[plane].line_size
    count, width = frame.planes[plane].height, frame.planes[plane].width
    return [data[stride * n : stride * n + width] for n in range(count)]


def middle(frame: VideoFrame, at: tuple[float, float] = (0.5, 0.5)) -> tuple[int, int, int]:
    """Y, Cb and Cr at a place given in parts of the width and height."""
    values = []
    for plane in range(3):
        rows = rows_of(frame, plane)
        values.append(rows[int(len(rows) * at[1])][int(len(rows[0]) * at[0])])
    return values[0], values[1], values[2]


def make_picture(
    paints: Sequence[Paint], size: tuple[int, int] = SIZE, pixel_format: str = "yuv420p"
) -> VideoFrame:
    frame = VideoFrame(*size, pixel_format)
    for plane, paint in zip(frame.planes, paints, strict=True):
        depth = 2 if "10" in pixel_format else 1
        body = paint(plane.width * depth, plane.height)
        wide = plane.width * depth
        rows = [body[wide * n : wide * (n + 1)] for n in range(plane.height)]
        plane.update(b"".join(row.ljust(plane.line_size, b"\0") for row in rows))
    return frame


def gray_number(number: int) -> VideoFrame:
    return make_picture((numbered(number), flat(128), flat(128)))


def make_chunk(
    path: Path,
    pictures: Sequence[tuple[int, VideoFrame]],
    *,
    time_base: Fraction,
    codec: str = "ffv1",
    spoiled: Collection[int] = (),
) -> Path:
    """Write (pts, picture) into a NUT file; a picture of another size gets its own encoder.

    The packets of `spoiled` timestamps are all zeros.
    """
    with av.open(path, "w") as container:
        stream = _add_stream(container, codec, pictures[0][1], time_base)
        for pts, picture in pictures:
            picture.pts, picture.time_base = pts, time_base
            if (picture.width, picture.height) == (stream.width, stream.height):
                packets = stream.encode(picture)
            else:
                lent = av.open(BytesIO(), "w", format="nut")
                packets = _add_stream(lent, codec, picture, time_base).encode(picture)
            for packet in packets:
                if pts in spoiled:
                    packet.update(bytes(packet.size))
                packet.stream = stream
                container.mux(packet)
        container.mux(stream.encode(None))
    return path


def _add_stream(
    container: av.container.OutputContainer, codec: str, like: VideoFrame, time_base: Fraction
) -> VideoStream:
    # MJPEG is asked to take limited range, which its specification does not know.
    stream = container.add_stream(codec, rate=25, options={"strict": "unofficial"})
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = like.width, like.height, like.format.name
    stream.time_base = stream.codec_context.time_base = time_base
    return stream


def make_track(rate: Fraction = Fraction(25), **overrides: object) -> VideoTrack:
    """A track of constant rate with one tick of its time base a frame, of 25 fps if not told."""
    track = make_video_track(
        codec="ffv1",
        width=SIZE[0],
        height=SIZE[1],
        rate_num=rate.numerator,
        rate_den=rate.denominator,
        time_base_num=rate.denominator,
        time_base_den=rate.numerator,
        end_pts=10_000,
        frames=10_000,
    )
    return replace(track, **overrides)  # type: ignore[arg-type]


def make_range(first: int, after: int, **overrides: object) -> ChunkRange:
    """The frames [first, after) of a track with one tick a frame."""
    chunk = ChunkRange(
        number=0,
        lo_pts=first,
        hi_pts=after,
        next_pts=after,
        shift_pts=0,
        first_segment=0,
        segments=1,
        frames=after - first,
        hidden_pts=(),
    )
    return replace(chunk, **overrides)  # type: ignore[arg-type]


def make_rung(name: str = "108p", size: tuple[int, int] = SIZE, **overrides: object) -> Rung:
    rung = Rung(
        name=name,
        width=size[0],
        height=size[1],
        codec="libx264",
        preset="ultrafast",
        crf=18.0,
        maxrate_bps=2_000_000,
        bufsize_bits=4_000_000,
        group=1,
        own_pass=False,
        recipe="0",
    )
    return replace(rung, **overrides)  # type: ignore[arg-type]


def make_grid(track: VideoTrack, chunk_segments: int = 1) -> Grid:
    return replace(grid_of(track), chunk_segments=chunk_segments)


def decoded(*encoded: EncodedRung) -> list[VideoFrame]:
    """What a player shows of chunks joined in order, by presentation time."""
    parts = [encoded[0].init_path.read_bytes()]
    parts += [path.read_bytes() for one in encoded for _, path in one.segments]
    with av.open(BytesIO(b"".join(parts)), "r") as container:
        return list(container.decode(video=0))


def fragments(*encoded: EncodedRung) -> list[cmaf.Fragment]:
    return [cmaf.read_fragment(path.read_bytes()) for one in encoded for _, path in one.segments]


def encode_one(
    tmp_path: Path,
    pictures: Sequence[VideoFrame],
    track: VideoTrack,
    rung: Rung,
    codec: str = "ffv1",
) -> list[VideoFrame]:
    """Encode pictures at one tick each as a whole video and return what is shown."""
    path = tmp_path / "chunk.nut"
    time_base = Fraction(track.time_base_num, track.time_base_den)
    make_chunk(path, list(enumerate(pictures)), time_base=time_base, codec=codec)
    chunk = make_range(0, len(pictures), hi_pts=None)
    (made,) = encode(path, track, make_grid(track), chunk, (rung,), tmp_path / "out")
    assert made.frames == len(pictures)
    return decoded(made)
