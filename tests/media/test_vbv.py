"""Chunks that each keep their promise can be joined, and no decoder's buffer runs empty (TRN-3)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.processors.media.vbv import FULLNESS_FIRST, FULLNESS_JOINED, Leak

LEAK = Leak(maxrate_bps=1_000_000, bufsize_bits=2_000_000, timescale=25_000)
FRAME = 1000
"""Ticks of a frame at 25 a second, in which 40000 bits flow in."""

Frames = list[tuple[int, int]]
# Frames that take a fifth, two fifths or next to nothing: sums that lie at the borders.
sizes_bytes = st.sampled_from([0, 1, 5000, 50_000, 100_000]) | st.integers(0, 100_000)
frames = st.lists(st.tuples(sizes_bytes, st.sampled_from([1, FRAME, 20 * FRAME])), max_size=8)


def keeps(chunk: Frames, start: Fraction) -> bool:
    return LEAK.shortage_bits(chunk, start) == 0


@given(first=frames, rest=st.lists(frames, max_size=6))
def test_chunks_that_keep_their_promise_never_empty_the_buffer_when_joined(
    first: Frames, rest: list[Frames]
) -> None:
    kept = [first] if keeps(first, FULLNESS_FIRST) else []
    kept += [chunk for chunk in rest if keeps(chunk, FULLNESS_JOINED)]
    joined = [frame for chunk in kept for frame in chunk]
    start = FULLNESS_FIRST if kept and kept[0] is first else FULLNESS_JOINED
    lowest, last = LEAK.drained(joined, start)
    assert lowest >= 0
    assert last >= FULLNESS_JOINED * LEAK.bufsize_bits


@given(chunk=frames, one=st.fractions(0, 1), two=st.fractions(0, 1))
def test_a_buffer_that_begins_fuller_is_never_emptier(
    chunk: Frames, one: Fraction, two: Fraction
) -> None:
    less, more = sorted((one, two))
    assert all(
        low <= high
        for low, high in zip(LEAK.drained(chunk, less), LEAK.drained(chunk, more), strict=True)
    )


@given(chunk=frames, start=st.fractions(0, 1))
def test_the_buffer_never_holds_more_than_it_can(chunk: Frames, start: Fraction) -> None:
    lowest, last = LEAK.drained(chunk, start)
    assert lowest <= last <= LEAK.bufsize_bits


@pytest.mark.parametrize(
    ("sizes", "lowest", "last", "shortage"),
    [
        # Two fifths are 800 kbit; a frame of 40 kbit takes what flows in while it lasts.
        ([5000] * 50, 760_000, 800_000, 0),
        ([5001] * 50, 800_000 - 50 * 40_008 + 49 * 40_000, 799_600, 400),
        # Empty at once, full again in two seconds.
        ([100_000, *[0] * 60], 0, 2_000_000, 0),
        ([100_001, *[0] * 60], -8, 2_000_000, 8),
        # Nothing is owed to a buffer that was full before the last frame took half of it.
        ([*[0] * 60, 150_000], 800_000, 840_000, 0),
        ([*[0] * 60, 156_000], 752_000, 792_000, 8000),
    ],
)
def test_what_is_short_is_what_was_taken_less_what_flowed_in(
    sizes: list[int], lowest: int, last: int, shortage: int
) -> None:
    chunk = [(size, FRAME) for size in sizes]
    drained = LEAK.drained(chunk, FULLNESS_JOINED)
    assert [int(bits) for bits in drained] == [lowest, last]
    assert LEAK.shortage_bits(chunk, FULLNESS_JOINED) == shortage


def test_time_without_a_frame_fills_the_buffer() -> None:
    still = [(100_000, 25_000), (0, 1)]
    assert LEAK.drained(still, FULLNESS_JOINED)[1] == 1_000_000 + 40
