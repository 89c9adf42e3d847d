"""Ticks, cells, joints and the rate cap are exact arithmetic (TRN-2, TRN-3)."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.processors.media.timeline import (
    TimedFrame,
    cell_of,
    chunk_of,
    chunk_start_pts,
    grid_of,
    schedule,
    segments_in,
    tick_of,
    timescale_of,
)
from millrace.schemas.events import ChunkRange, Grid, VideoTrack
from tests.builders import make_video_track

RATES = [
    Fraction(24_000, 1001),
    Fraction(25),
    Fraction(30_000, 1001),
    Fraction(60_000, 1001),
    Fraction(120),
    Fraction(120_000, 1001),
]


def make_track(
    rate: Fraction = Fraction(25),
    seconds: int = 60,
    time_base: Fraction = Fraction(1, 90_000),
    start_pts: int = 0,
    constant_rate: bool = True,
    gop_ms_max: int = 2000,
) -> VideoTrack:
    return make_video_track(
        width=320,
        height=180,
        rate_num=rate.numerator,
        rate_den=rate.denominator,
        constant_rate=constant_rate,
        time_base_num=time_base.numerator,
        time_base_den=time_base.denominator,
        start_pts=start_pts,
        end_pts=start_pts + round(seconds / time_base),
        frames=int(rate * seconds),
        gop_ms_max=gop_ms_max,
    )


def make_range(next_pts: int, first_segment: int = 0) -> ChunkRange:
    return ChunkRange(
        number=0,
        lo_pts=0,
        hi_pts=None,
        next_pts=next_pts,
        shift_pts=0,
        first_segment=first_segment,
        segments=1,
        frames=1,
        hidden_pts=(),
    )


def stamps(track: VideoTrack, count: int) -> list[int]:
    """Timestamps of a constant rate as a container rounds them."""
    rate = Fraction(track.rate_num, track.rate_den)
    time_base = Fraction(track.time_base_num, track.time_base_den)
    return [track.start_pts + round(index / rate / time_base) for index in range(count)]


@pytest.mark.parametrize(
    ("rate", "timescale"),
    [
        (Fraction(25), 25_000),
        (Fraction(24_000, 1001), 24_000),
        (Fraction(30_000, 1001), 30_000),
        (Fraction(60_000, 1001), 60_000),
        (Fraction(5), 50_000),
    ],
)
def test_the_timescale_is_the_numerator_of_a_constant_rate(rate: Fraction, timescale: int) -> None:
    assert timescale_of(make_track(rate)) == timescale


def test_the_timescale_of_a_variable_rate_is_90000() -> None:
    assert timescale_of(make_track(constant_rate=False)) == 90_000


@given(
    rate=st.sampled_from(RATES),
    time_base=st.sampled_from([Fraction(1, 1000), Fraction(1, 90_000), Fraction(1, 12_800)]),
    start_pts=st.integers(-(2**33), 2**33),
    index=st.integers(0, 500_000),
)
def test_a_frame_of_a_constant_rate_is_placed_by_its_index_whatever_its_rounding(
    rate: Fraction, time_base: Fraction, start_pts: int, index: int
) -> None:
    track = make_track(rate, time_base=time_base, start_pts=start_pts)
    grid = grid_of(track)
    for error in (-1, 0, 1):
        pts = start_pts + round(index / rate / time_base) + error
        assert tick_of(track, grid, pts) == index / rate * grid.timescale
        assert cell_of(track, pts, 6000) == index / rate // 6


@given(
    rate=st.sampled_from(RATES),
    constant_rate=st.booleans(),
    time_base=st.sampled_from([Fraction(1, 1000), Fraction(1, 90_000), Fraction(1, 12_800)]),
    start_pts=st.integers(-(2**33), 2**33),
    index=st.integers(0, 500_000),
)
def test_a_frame_is_at_or_after_the_start_of_its_chunk_and_before_the_next(
    rate: Fraction, constant_rate: bool, time_base: Fraction, start_pts: int, index: int
) -> None:
    track = make_track(rate, time_base=time_base, start_pts=start_pts, constant_rate=constant_rate)
    grid = grid_of(track)
    pts = start_pts + round(index / rate / time_base)
    number = chunk_of(track, grid, pts)
    assert chunk_start_pts(track, grid, number) <= pts < chunk_start_pts(track, grid, number + 1)


@pytest.mark.parametrize("rate", RATES)
def test_rounding_moves_no_frame_over_a_border(rate: Fraction) -> None:
    """The first frame of a chunk and the last before it, at 1/1000 and off by one tick."""
    track = make_track(rate, time_base=Fraction(1, 1000))
    grid = grid_of(track)
    for number in range(1, 200):
        first = -(-number * 6 * rate // 1)
        border = chunk_start_pts(track, grid, number)
        assert round((first - 1) / rate * 1000) + 1 < border <= round(first / rate * 1000) - 1


@pytest.mark.parametrize(
    ("gop_ms", "seconds", "segments"),
    [
        (2000, 3600, 1),
        (4000, 3600, 2),
        (10_000, 3600, 4),
        (10_000, 60, 1),
        (10_000, 120, 2),
        (31_000, 120, 20),
    ],
)
def test_chunks_are_longer_where_gops_are_but_not_in_a_short_video(
    gop_ms: int, seconds: int, segments: int
) -> None:
    track = make_track(seconds=seconds, gop_ms_max=gop_ms)
    assert grid_of(track).chunk_segments == segments


@pytest.mark.parametrize(
    ("rate", "kept"),
    [
        (Fraction(60_000, 1001), Fraction(60_000, 1001)),
        (Fraction(60), Fraction(60)),
        (Fraction(120), Fraction(60)),
        (Fraction(100), Fraction(50)),
        (Fraction(144), Fraction(48)),
        (Fraction(240), Fraction(60)),
        (Fraction(75), Fraction(60)),
    ],
)
def test_a_rate_above_60_is_thinned(rate: Fraction, kept: Fraction) -> None:
    track = make_track(rate)
    shown = stamps(track, int(rate * 12))
    end = track.start_pts + 12 * 90_000
    timed = schedule(track, grid_of(track), make_range(end), shown)
    assert len(timed) == int(kept * 12)
    assert all(one.tick + one.duration_ticks == two.tick for one, two in pairwise(timed))


def test_119_88_keeps_every_second_frame_and_never_more_than_60_a_second() -> None:
    track = make_track(Fraction(120_000, 1001))
    shown = stamps(track, 1440)
    timed = schedule(track, grid_of(track), make_range(shown[-1] + 751), shown[:-1])
    for segment in (0, 1):
        assert sum(frame.segment == segment for frame in timed) <= 360


def test_the_first_frame_of_each_segment_is_kept_so_that_joints_need_no_other() -> None:
    track = make_track(Fraction(120_000, 1001))
    grid = grid_of(track)
    shown = stamps(track, 1440)
    border = next(i for i, pts in enumerate(shown) if cell_of(track, pts, 6000) == 1)
    before = schedule(track, grid, make_range(shown[border]), shown[:border])
    after = schedule(track, grid, make_range(shown[-1] + 751, 1), shown[border:])
    assert before[-1].tick + before[-1].duration_ticks == after[0].tick
    assert after[0].pts == shown[border]


def test_keyframes_are_due_at_each_cell_of_their_grid_and_each_segment() -> None:
    track = make_track(Fraction(30_000, 1001))
    grid = grid_of(track)
    shown = stamps(track, 360)
    timed = schedule(track, grid, make_range(shown[-1] + 3003), shown)
    keys = [index for index, frame in enumerate(timed) if frame.keyframe]
    assert keys == [0, 60, 120, 180, 240, 300]
    odd = replace(grid, segment_ms=2500, keyframe_ms=2000)
    timed = schedule(track, odd, make_range(shown[-1] + 3003), shown)
    keys = [index for index, frame in enumerate(timed) if frame.keyframe]
    assert keys == [0, 60, 75, 120, 150, 180, 225, 240, 300]


def test_a_long_still_lasts_to_the_joint_and_empty_cells_make_no_segment() -> None:
    track = make_track(constant_rate=False, time_base=Fraction(1, 1000))
    grid = Grid(timescale=90_000, segment_ms=6000, keyframe_ms=2000, chunk_segments=4)
    timed = schedule(track, grid, make_range(25_000, first_segment=7), [0, 40, 13_000])
    assert [(f.segment, f.tick, f.duration_ticks) for f in timed] == [
        (7, 0, 3600),
        (7, 3600, 13_000 * 90 - 3600),
        (8, 13_000 * 90, 12_000 * 90),
    ]


def test_of_frames_on_one_tick_the_last_one_is_seen() -> None:
    """Muxers move a timestamp that does not increase by one unit of a fine clock."""
    track = make_track(constant_rate=False, time_base=Fraction(1, 1_000_000))
    shown = [0, 40_000, 40_001, 40_003, 80_000]
    timed = schedule(track, grid_of(track), make_range(120_000), shown)
    assert [(frame.pts, frame.tick, frame.duration_ticks) for frame in timed] == [
        (0, 0, 3600), (40_003, 3600, 3600), (80_000, 7200, 3600),
    ]  # fmt: skip


@given(
    start_pts=st.integers(-(2**33), 2**33),
    time_base=st.sampled_from([Fraction(1, 1_000_000), Fraction(1, 10**9), Fraction(1, 90_000)]),
    near=st.lists(st.tuples(st.integers(0, 4), st.integers(-30, 30)), min_size=1, max_size=30),
)
def test_frames_of_any_clock_make_schedules_that_join_and_segments_that_hold_a_frame(
    start_pts: int, time_base: Fraction, near: list[tuple[int, int]]
) -> None:
    """Frames within microseconds of each border, of a second each."""
    elapsed = {border + Fraction(off, 1_000_000) for border, off in near} | {Fraction(0)}
    shown = sorted({start_pts + round(at / time_base) for at in elapsed if at >= 0})
    track = make_track(constant_rate=False, time_base=time_base, start_pts=start_pts)
    grid = replace(grid_of(track, 1000, 1000), chunk_segments=1)
    chunks: dict[int, list[int]] = {}
    for pts in shown:
        chunks.setdefault(chunk_of(track, grid, pts), []).append(pts)
    firsts = [part[0] for part in chunks.values()]
    joints = [*firsts[1:], shown[-1] + round(1 / time_base)]
    timed: list[TimedFrame] = []
    for (number, part), joint in zip(chunks.items(), joints, strict=True):
        first, after = (chunk_start_pts(track, grid, n) for n in (number, number + 1))
        assert all(first <= pts < after for pts in part)
        made = schedule(track, grid, make_range(joint), part)
        assert segments_in(track, grid, part) == len({frame.segment for frame in made}) == 1
        timed += made
    assert timed[0].tick == 0
    assert all(one.tick + one.duration_ticks == two.tick for one, two in pairwise(timed))
