"""One chunk for a group of rungs: which frames are shown, when, and at what price in bits."""

from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from random import Random

import pytest
from av.video.frame import VideoFrame

from millrace.processors.media.encode import encode
from millrace.processors.media.failures import MediaFailed
from millrace.processors.media.vbv import Leak
from tests.media.pictures import (
    SIZE,
    decoded,
    flat,
    fragments,
    gray_number,
    make_chunk,
    make_grid,
    make_picture,
    make_range,
    make_rung,
    make_track,
    number_of,
)


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


@pytest.mark.parametrize(
    ("spoiled", "shown"),
    [
        ([25], [*range(10, 25), 24, *range(26, 50)]),
        ([25, 26, 27], [*range(10, 25), 24, 24, 24, *range(28, 50)]),
        # A chunk begins with the frame before it, and ends with its own.
        ([10], [9, *range(11, 50)]),
        ([49], [*range(10, 49), 48]),
        # Nothing decodes before the first frame: the next one is shown early.
        (range(11), [11, *range(11, 50)]),
        # A neighbour's frame is no loss.
        ([3, 55], [*range(10, 50)]),
    ],
)
def test_a_frame_that_does_not_decode_is_shown_as_the_one_before_it_at_its_own_time(
    tmp_path: Path, spoiled: Collection[int], shown: list[int]
) -> None:
    track = make_track()
    pictures = [(n, gray_number(n)) for n in range(60)]
    path = make_chunk(
        tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25), codec="mjpeg", spoiled=spoiled
    )
    chunk = make_range(10, 50)
    (made,) = encode(path, track, make_grid(track), chunk, (make_rung(),), tmp_path)
    assert [number_of(frame) for frame in decoded(made)] == shown
    assert made.repeated_frames == sum(10 <= pts < 50 for pts in spoiled)
    (run,) = fragments(made)
    assert sorted(sample.shown_at for sample in run.samples) == [n * 1000 for n in range(10, 50)]


def test_interlaced_frames_that_do_not_decode_are_shown_as_the_ones_before_them(
    tmp_path: Path,
) -> None:
    track = make_track(field_order="tt")
    pictures = [(n, gray_number(n)) for n in range(60)]
    path = make_chunk(
        tmp_path / "chunk.nut",
        pictures,
        time_base=Fraction(1, 25),
        codec="mjpeg",
        spoiled=[25, 48, 49],
    )
    chunk = make_range(10, 50)
    (made,) = encode(path, track, make_grid(track), chunk, (make_rung(),), tmp_path)
    numbers = [number_of(frame) for frame in decoded(made)]
    assert numbers == [*range(10, 25), 24, *range(26, 48), 47, 47]


@pytest.mark.parametrize(("spoiled", "fails"), [(25, False), (26, True), (50, True)])
def test_a_chunk_that_mostly_does_not_decode_is_a_failure(
    tmp_path: Path, spoiled: int, fails: bool
) -> None:
    track, rungs = make_track(), (make_rung(),)
    pictures = [(n, gray_number(n)) for n in range(50)]
    path = make_chunk(
        tmp_path / "chunk.nut",
        pictures,
        time_base=Fraction(1, 25),
        codec="mjpeg",
        spoiled=range(50 - spoiled, 50),
    )
    if not fails:
        encode(path, track, make_grid(track), make_range(0, 50), rungs, tmp_path)
        return
    with pytest.raises(MediaFailed) as failed:
        encode(path, track, make_grid(track), make_range(0, 50), rungs, tmp_path)
    assert failed.value.code == "frames_differ"


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


def noise(seed: int) -> VideoFrame:
    """A picture that no encoder can shrink."""
    rows = Random(seed).randbytes(SIZE[0] * SIZE[1])
    return make_picture((lambda width, height: rows, flat(128), flat(128)))


def test_a_joined_chunk_takes_no_more_of_the_decoders_buffer_than_is_left_to_it(
    tmp_path: Path,
) -> None:
    # The first picture takes what the buffer model lets it have.
    still = noise(1)
    track, rung = make_track(), make_rung(crf=1.0, maxrate_bps=200_000, bufsize_bits=200_000)
    path = make_chunk(
        tmp_path / "chunk.nut", [(n, still) for n in range(200)], time_base=Fraction(1, 25)
    )
    chunk = make_range(150, 200, number=1, first_segment=1, hi_pts=None)
    (made,) = encode(path, track, make_grid(track), chunk, (rung,), tmp_path / "out")
    (run,) = fragments(made)
    spent = accumulate(8 * sample.size_bytes for sample in run.samples)
    for index, bits in enumerate(spent):
        assert bits <= 80_000 + 200_000 * index / 25


def test_a_joint_between_two_chunks_that_take_all_they_can_starves_no_decoder(
    tmp_path: Path,
) -> None:
    """The first chunk ends in noise that its encoder has no frames left to pay back, the second
    begins with it. Joined without the promise that each keeps, the buffer is short of 0.2."""
    pictures = [(n, gray_number(n // 25) if n < 140 else noise(n)) for n in range(200)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25))
    track = make_track()
    rung = make_rung(crf=23.0, maxrate_bps=400_000, bufsize_bits=800_000)
    easy = make_rung("easy", crf=40.0, maxrate_bps=9_000_000, bufsize_bits=18_000_000)
    ranges = (
        make_range(0, 150),
        make_range(150, 200, number=1, first_segment=1, hi_pts=None),
    )
    grid, leak = make_grid(track), Leak(400_000, 800_000, make_grid(track).timescale)
    both = [
        encode(path, track, grid, chunk, (rung, easy), tmp_path / str(chunk.number))
        for chunk in ranges
    ]
    joined = [hard for hard, _ in both]
    samples = [sample for run in fragments(*joined) for sample in run.samples]
    spent = [(sample.size_bytes, sample.duration) for sample in samples]
    assert leak.drained(spent, Fraction(9, 10))[0] >= 0
    assert [one.vbv_shortage_bits for one in joined] == [0, 0]
    assert joined[0].init_path.read_bytes() == joined[1].init_path.read_bytes()
    assert [one.frames for one in joined] == [150, 50]
    # Only what is short is made again: the other rung is what it would be by itself.
    (alone,) = encode(path, track, grid, ranges[0], (easy,), tmp_path / "alone")
    files = zip(alone.segments, both[0][1].segments, strict=True)
    assert all(one.read_bytes() == two.read_bytes() for (_, one), (_, two) in files)


def test_a_chunk_that_no_encoder_can_fit_is_kept_and_says_what_it_lacks(tmp_path: Path) -> None:
    pictures = [(n, noise(n)) for n in range(25)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25))
    track, rung = make_track(), make_rung(maxrate_bps=2000, bufsize_bits=4000)
    chunk = make_range(0, 25, hi_pts=None)
    (made,) = encode(path, track, make_grid(track), chunk, (rung,), tmp_path)
    assert made.vbv_shortage_bits > 0
    assert made.frames == len(decoded(made)) == 25


@pytest.mark.parametrize(("shrunk", "alike"), [(1, True), (3, False)])
def test_only_a_small_pass_of_its_own_is_decoded_without_deblocking(
    tmp_path: Path, shrunk: int, alike: bool
) -> None:
    track = make_track()
    pictures = [(10 + n, gray_number(n * 37 % 256)) for n in range(50)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25), codec="libx264")
    chunk = make_range(0, 50, hi_pts=None, shift_pts=10)
    bodies = set()
    for group in (0, 1):
        size = (SIZE[0] // shrunk, SIZE[1] // shrunk)
        rung = make_rung(size=size, group=group, own_pass=group == 0)
        (made,) = encode(path, track, make_grid(track), chunk, (rung,), tmp_path / str(group))
        bodies.add(b"".join(file.read_bytes() for _, file in made.segments))
    assert (len(bodies) == 1) is alike


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
