"""One chunk for a group of rungs: which pictures, when, how large, how turned, in which colour."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import accumulate
from pathlib import Path

import av
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from millrace.processors.media import cmaf
from millrace.processors.media.encode import EncodedRung, encode
from millrace.processors.media.failures import MediaFailed
from millrace.processors.media.timeline import grid_of
from millrace.schemas.events import ChunkRange, Grid, Rung, VideoTrack

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
    spoiled_pts: int | None = None,
) -> Path:
    """Write (pts, picture) into a NUT file; a picture of another size gets its own encoder."""
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
                if pts == spoiled_pts:
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
    track = VideoTrack(
        stream_index=0,
        codec="ffv1",
        width=SIZE[0],
        height=SIZE[1],
        rotation_deg=0,
        sar_num=1,
        sar_den=1,
        rate_num=rate.numerator,
        rate_den=rate.denominator,
        constant_rate=True,
        time_base_num=rate.denominator,
        time_base_den=rate.numerator,
        start_pts=0,
        end_pts=10_000,
        frames=10_000,
        gop_ms_max=2000,
        reorder_pts=0,
        pixel_format="yuv420p",
        color_primaries="bt709",
        color_transfer="bt709",
        color_matrix="bt709",
        color_range="tv",
        field_order="progressive",
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


def test_each_segment_and_each_keyframe_cell_starts_with_the_only_idr_frames(
    tmp_path: Path,
) -> None:
    # The picture changes wholly with each frame: an encoder left alone would place keyframes.
    track = make_track()
    pictures = [(n, gray_number(n * 37 % 256)) for n in range(325)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25))
    chunk = make_range(0, 325, hi_pts=None, segments=3)
    (made,) = encode(path, track, make_grid(track, 4), chunk, (make_rung(),), tmp_path / "out")
    runs = fragments(made)
    assert [len(run.samples) for run in runs] == [150, 150, 25]
    syncs = [n for n, s in enumerate(s for run in runs for s in run.samples) if s.sync]
    assert syncs == list(range(0, 325, 50))
    assert [segment.number for segment, _ in made.segments] == [0, 1, 2]
    assert made.codec.startswith("avc1.")


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30_000, 1001), Fraction(60_000, 1001)])
def test_chunks_made_apart_join_without_a_tick_between_and_with_one_init(
    tmp_path: Path, rate: Fraction
) -> None:
    track, second = make_track(rate), -(-6 * rate.numerator // rate.denominator)
    pictures = [(n, gray_number(n % 256)) for n in range(second + 40)]
    time_base = 1 / rate
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=time_base)
    grid, rung = make_grid(track), make_rung(preset="veryfast")
    ranges = (
        make_range(0, second),
        make_range(second, second + 40, number=1, first_segment=1, hi_pts=None),
    )
    made = [
        encode(path, track, grid, chunk, (rung,), tmp_path / str(chunk.number))[0]
        for chunk in ranges
    ]
    assert made[0].init_path.read_bytes() == made[1].init_path.read_bytes()
    one, two = fragments(*made)
    assert one.decode_time == 0
    assert (
        two.decode_time
        == one.duration
        == second * rate.denominator * grid.timescale // (rate.numerator)
    )
    assert [number_of(frame) for frame in decoded(*made)] == [n % 256 for n in range(second + 40)]


def test_a_still_lasts_until_the_next_picture_however_long_and_cells_without_one_make_no_segment(
    tmp_path: Path,
) -> None:
    # Variable rate in milliseconds: a still of 13 s, three pictures in a row, a still to the end.
    track = make_track(
        constant_rate=False, time_base_num=1, time_base_den=1000, start_pts=500, end_pts=20_500
    )
    shown = [500, 13_500, 13_533, 13_607]
    pictures = [(pts, gray_number(n)) for n, pts in enumerate(shown)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 1000))
    chunk = make_range(500, 0, hi_pts=None, next_pts=20_500, segments=2, frames=4)
    (made,) = encode(path, track, make_grid(track, 4), chunk, (make_rung(),), tmp_path / "out")
    assert [segment.number for segment, _ in made.segments] == [0, 1]
    still, rest = fragments(made)
    assert (still.duration, rest.decode_time) == (13 * 90_000, 13 * 90_000)
    assert sorted(sample.shown_at for sample in rest.samples) == [1_170_000, 1_172_970, 1_179_630]
    assert rest.decode_time + rest.duration == 20 * 90_000
    assert min(sample.duration for sample in rest.samples) > 0


def test_a_long_still_at_a_chunks_start_does_not_turn_later_durations_negative(
    tmp_path: Path,
) -> None:
    # With B-frames an encoder's own decode times would be 11 s off here.
    track = make_track(constant_rate=False, time_base_num=1, time_base_den=1000, end_pts=24_000)
    shown = [0, 11_000, *range(11_040, 11_840, 40)]
    pictures = [(pts, gray_number(n)) for n, pts in enumerate(shown)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 1000))
    chunk = make_range(0, 0, hi_pts=None, next_pts=11_840, segments=2, frames=len(shown))
    rung = make_rung(preset="veryfast")
    (made,) = encode(path, track, make_grid(track, 4), chunk, (rung,), tmp_path / "out")
    samples = [sample for run in fragments(made) for sample in run.samples]
    assert min(sample.duration for sample in samples) > 0
    assert sorted(sample.shown_at for sample in samples) == [pts * 90 for pts in shown]
    assert [number_of(frame) for frame in decoded(made)] == list(range(len(shown)))


def test_only_frames_of_the_range_are_shown_and_never_hidden_ones(tmp_path: Path) -> None:
    track = make_track(start_pts=10)
    pictures = [(1000 + n, gray_number(n)) for n in range(60)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25))
    chunk = make_range(10, 50, shift_pts=1000, frames=38, hidden_pts=(12, 13))
    track = replace(track, constant_rate=False)
    (made,) = encode(path, track, make_grid(track), chunk, (make_rung(),), tmp_path / "out")
    assert [number_of(frame) for frame in decoded(made)] == [10, 11, *range(14, 50)]


def test_a_chunk_with_a_frame_too_few_is_a_failure_and_not_a_shorter_video(
    tmp_path: Path,
) -> None:
    track = make_track()
    pictures = [(n, gray_number(n)) for n in range(49)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25))
    with pytest.raises(MediaFailed) as failed:
        encode(path, track, make_grid(track), make_range(0, 50), (make_rung(),), tmp_path)
    assert failed.value.code == "frames_differ"


def test_a_frame_that_does_not_decode_is_a_failure(tmp_path: Path) -> None:
    track = make_track()
    pictures = [(n, gray_number(n)) for n in range(50)]
    path = make_chunk(
        tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25), codec="mjpeg", spoiled_pts=25
    )
    with pytest.raises(MediaFailed):
        encode(path, track, make_grid(track), make_range(0, 50), (make_rung(),), tmp_path)


def test_a_file_that_is_no_media_is_a_failed_attempt_with_a_code(tmp_path: Path) -> None:
    path = tmp_path / "chunk.nut"
    path.write_text("no media")
    track = make_track()
    with pytest.raises(MediaFailed) as failed:
        encode(path, track, make_grid(track), make_range(0, 50), (make_rung(),), tmp_path)
    assert failed.value.code == "chunk_unreadable"


def test_120_frames_a_second_become_every_second_one(tmp_path: Path) -> None:
    track = make_track(Fraction(120))
    pictures = [(n, gray_number(n)) for n in range(240)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 120))
    chunk = make_range(0, 240, hi_pts=None)
    (made,) = encode(path, track, make_grid(track), chunk, (make_rung(),), tmp_path / "out")
    assert [number_of(frame) for frame in decoded(made)] == list(range(0, 240, 2))
    (run,) = fragments(made)
    assert run.duration == 2 * make_grid(track).timescale


def test_every_rung_of_a_group_shows_the_same_pictures_at_its_own_size(tmp_path: Path) -> None:
    track = make_track()
    pictures = [(n, gray_number(n)) for n in range(50)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25))
    sizes = [(64, 36), (128, 72), SIZE]
    rungs = tuple(make_rung(f"{size[1]}p", size) for size in sizes)
    chunk = make_range(0, 50, hi_pts=None)
    made = encode(path, track, make_grid(track), chunk, rungs, tmp_path / "out")
    assert tuple(one.rung for one in made) == rungs
    for one, size in zip(made, sizes, strict=True):
        frames = decoded(one)
        assert {(frame.width, frame.height) for frame in frames} == {size}
        assert [number_of(frame) for frame in frames] == list(range(50))
        assert one.init_path.parent.name == one.rung.name


# Where the bright corner of the coded picture lies once it is turned clockwise.
CORNERS = {0: (0.1, 0.1), 90: (0.9, 0.1), 180: (0.9, 0.9), 270: (0.1, 0.9)}


@pytest.mark.parametrize("rotation_deg", CORNERS)
def test_a_rotated_source_comes_out_upright(tmp_path: Path, rotation_deg: int) -> None:
    def corner(width: int, height: int) -> bytes:
        bright = bytes([WHITE]) * (width // 4) + bytes([BLACK]) * (width - width // 4)
        return bright * (height // 4) + bytes([BLACK]) * (width * (height - height // 4))

    size = SIZE if rotation_deg in (0, 180) else SIZE[::-1]
    shown = encode_one(
        tmp_path,
        [make_picture((corner, flat(128), flat(128)))] * 3,
        make_track(rotation_deg=rotation_deg),
        make_rung(size=size),
    )
    assert (shown[0].width, shown[0].height) == size
    bright = {place for place in CORNERS.values() if middle(shown[0], place)[0] > 200}
    assert bright == {CORNERS[rotation_deg]}


def test_a_source_with_long_pixels_fills_its_rung_with_square_ones(tmp_path: Path) -> None:
    track = make_track(width=96, sar_num=2)
    halves = make_picture((numbered(0b00001111), flat(128), flat(128)), (96, 108))
    shown = encode_one(tmp_path, [halves] * 3, track, make_rung())
    assert shown[0].width == SIZE[0]
    assert [middle(shown[0], (x, 0.5))[0] > 125 for x in (0.05, 0.45, 0.55, 0.95)] == [
        False,
        False,
        True,
        True,
    ]


# Full red and green in YCbCr of both matrices, limited range (ITU-R BT.601 and BT.709).
RED_601, RED_709 = (81, 90, 240), (63, 102, 240)
GREEN_601, GREEN_709 = (145, 54, 34), (173, 42, 26)


@pytest.mark.parametrize(
    ("tags", "given", "expected"),
    [
        ({"color_matrix": "unknown"}, RED_601, RED_709),
        ({"color_matrix": "unknown"}, GREEN_601, GREEN_709),
        ({"color_matrix": "smpte170m"}, RED_601, RED_709),
        ({"color_matrix": "bt709"}, RED_709, RED_709),
        ({"color_matrix": "bt709", "color_range": "pc"}, (54, 99, 255), RED_709),
        ({"color_matrix": "unknown", "width": 1280, "height": 720}, RED_709, RED_709),
    ],
)
def test_colours_become_bt709_of_limited_range_whatever_the_source_says(
    tmp_path: Path,
    tags: dict[str, object],
    given: tuple[int, int, int],
    expected: tuple[int, int, int],
) -> None:
    size = (1280, 720) if "width" in tags else SIZE
    track = replace(make_track(), **tags)  # type: ignore[arg-type]
    picture = make_picture([flat(value) for value in given], size)
    shown = encode_one(tmp_path, [picture] * 3, track, make_rung(crf=10.0))
    assert middle(shown[0]) == pytest.approx(expected, abs=2)
    frame = shown[0]
    said = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
    assert said == (1, 1, 1, 1)


# Luminance in nits, its PQ code in 10 bits of limited range, and the luma it is shown with.
PQ = [(1, 195, 34), (100, 509, 126), (203, 573, 149), (1000, 723, 194), (4000, 855, 221)]


def test_high_dynamic_range_is_mapped_and_not_clipped(tmp_path: Path) -> None:
    def patches(width: int, height: int) -> bytes:
        each = width // 2 // len(PQ) + 1
        row = b"".join(code.to_bytes(2, "little") * each for _, code, _ in PQ)
        return row[:width] * height

    def neutral(width: int, height: int) -> bytes:
        return (512).to_bytes(2, "little") * (width // 2 * height)

    pixels = "yuv420p10le"
    track = make_track(
        pixel_format=pixels,
        color_primaries="bt2020",
        color_transfer="smpte2084",
        color_matrix="bt2020nc",
    )
    picture = make_picture((patches, neutral, neutral), pixel_format=pixels)
    shown = encode_one(tmp_path, [picture] * 3, track, make_rung(crf=10.0))
    seen = [middle(shown[0], ((n + 0.5) / len(PQ), 0.5))[0] for n in range(len(PQ))]
    assert seen == pytest.approx([luma for _, _, luma in PQ], abs=3)


def test_interlaced_pictures_lose_their_combs_and_none_is_lost(tmp_path: Path) -> None:
    def combed(one: int, two: int) -> Paint:
        return lambda width, height: (bytes([one]) * width + bytes([two]) * width) * (height // 2)

    track = make_track(field_order="tt")
    values = [(200, 50), (50, 200)] * 5
    pictures = [make_picture((combed(*pair), flat(128), flat(128))) for pair in values]
    shown = encode_one(tmp_path, pictures, track, make_rung(crf=10.0))
    assert len(shown) == 10
    for frame, (top, _) in zip(shown, values, strict=True):
        column = [row[96] for row in rows_of(frame, 0)][20:80]
        assert max(abs(value - top) for value in column) < 20


def test_a_source_that_changes_its_size_half_way_fills_the_rung_all_the_same(
    tmp_path: Path,
) -> None:
    whole = [gray_number(n) for n in range(10)]
    small = [make_picture((numbered(n), flat(128), flat(128)), (96, 54)) for n in range(10, 20)]
    pictures, track = [*whole, *small], make_track()
    shown = encode_one(tmp_path, pictures, track, make_rung(), codec="mjpeg")
    assert [number_of(frame) for frame in shown] == list(range(20))


def test_a_joined_chunk_spends_half_the_decoders_buffer_at_most_before_it_refills(
    tmp_path: Path,
) -> None:
    # Pictures that no encoder can shrink: the first one takes what the buffer model lets it have.
    seed = 1
    rows = bytearray()
    for _ in range(SIZE[0] * SIZE[1]):
        seed = seed * 1_103_515_245 + 12_345 & 0x7FFFFFFF
        rows.append(seed >> 16 & 0xFF)
    noise = make_picture((lambda width, height: bytes(rows), flat(128), flat(128)))
    track, rung = make_track(), make_rung(crf=1.0, maxrate_bps=200_000, bufsize_bits=200_000)
    path = make_chunk(
        tmp_path / "chunk.nut", [(n, noise) for n in range(200)], time_base=Fraction(1, 25)
    )
    chunk = make_range(150, 200, number=1, first_segment=1, hi_pts=None)
    (made,) = encode(path, track, make_grid(track), chunk, (rung,), tmp_path / "out")
    (run,) = fragments(made)
    spent = accumulate(8 * sample.size_bytes for sample in run.samples)
    for index, bits in enumerate(spent):
        assert bits <= 100_000 + 200_000 * (index + 1) / 25


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    track = make_track()
    pictures = [(n, gray_number(n)) for n in range(50)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25))
    bodies = set()
    for name in ("once", "again"):
        chunk = make_range(0, 50, hi_pts=None)
        (made,) = encode(path, track, make_grid(track), chunk, (make_rung(),), tmp_path / name)
        bodies.add(b"".join(file.read_bytes() for _, file in made.segments))
    assert len(bodies) == 1
