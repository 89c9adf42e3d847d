"""Is the frame rate of a track constant, and what is it? Read from timestamps, never from a header.

Pure arithmetic; it must never use a float, since 29.97 is not 30000/1001.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise

STANDARD_RATES = tuple(
    Fraction(rate * thousand, per)
    for rate, thousand, per in (
        *((rate, 1, 1) for rate in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 100, 120, 240)),
        *((rate, 1000, 1001) for rate in (24, 30, 48, 60, 120, 240)),
    )
)
"""Rates that cameras and editors use; a container's rounded timestamps are held against them."""

NUMERATOR_MAX = 240_000
"""Above it a numerator is an accident of rounding and no rate; it becomes a timescale."""

FRAME_TICKS_MIN = 4
"""A frame must last four ticks of the source's clock, or rounding could hide a missing one."""


def constant_rate(
    shown: Sequence[int], time_base: Fraction, declared: Iterable[Fraction | None]
) -> Fraction | None:
    """Frames a second if every one of `shown` (ascending) lasts one frame of that rate, else None.

    Each timestamp may be off by one tick of `time_base`, which is what containers' rounding does;
    errors don't add up. `declared` are the rates that the container and the codec claim.
    """
    for rate in _candidates(shown, time_base, declared):
        if _fits(shown, time_base, rate):
            return rate
    return None


def _candidates(
    shown: Sequence[int], time_base: Fraction, declared: Iterable[Fraction | None]
) -> list[Fraction]:
    claimed = [rate for rate in declared if rate]
    if len(shown) < 2 or shown[-1] == shown[0]:
        return [rate for rate in claimed if rate.numerator <= NUMERATOR_MAX]
    mean = Fraction(len(shown) - 1, shown[-1] - shown[0]) / time_base
    # The first timestamp and the last may be off by one tick each.
    slack = Fraction(3, shown[-1] - shown[0])
    near = [r for r in (mean, *STANDARD_RATES, *claimed) if abs(r / mean - 1) <= slack]
    # The simplest rate that fits is the one that was meant: 25 rather than 24999/1000.
    near.sort(key=lambda rate: (rate.denominator not in (1, 1001), rate.denominator))
    return [rate for rate in near if rate.numerator <= NUMERATOR_MAX]


def _fits(shown: Sequence[int], time_base: Fraction, rate: Fraction) -> bool:
    """Whether frame i is at start + i / rate, give or take a tick, for all of them."""
    period = 1 / (rate * time_base)
    ticks, per = period.numerator, period.denominator
    if ticks < FRAME_TICKS_MIN * per:
        return False
    start = shown[0]
    return all(
        -per <= (pts - start) * per - index * ticks <= per for index, pts in enumerate(shown)
    )


def mean_rate(shown: Sequence[int], end_pts: int, time_base: Fraction) -> Fraction:
    """Average frames a second of a track whose rate is not constant."""
    rate = Fraction(len(shown), max(1, end_pts - shown[0])) / time_base
    return rate.limit_denominator(1001) or Fraction(1, 1001)


def closest_frames(shown: Sequence[int]) -> int | None:
    """The smallest distance of two neighbours in `shown`, None where there is only one."""
    return min((two - one for one, two in pairwise(shown)), default=None)
