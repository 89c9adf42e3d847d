"""The buffer of a player's decoder, drained by frames and refilled at a rung's peak rate (TRN-3).

Chunks are encoded apart and joined, so no encoder sees the whole stream. Each chunk is therefore
held to a promise of its own: begun at a known fullness, it never empties the buffer and leaves at
least that fullness to the next. Chunks that keep it can be joined in any order and the joined
stream keeps it too: a buffer that begins fuller is at no moment emptier. Exact arithmetic over
sizes and durations; it must never ask an encoder what it believes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

FULLNESS_FIRST = Fraction(9, 10)
"""What a player has of the buffer when the first frame is due: x264's own default."""

FULLNESS_JOINED = Fraction(2, 5)
"""What every later chunk may count on. x264 steers for half at the end of what it looks ahead to,
and misses by up to 0.06 on pictures that take all the rate (measured): half itself would have
nearly every such chunk encoded twice, two fifths has almost none."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A rung's buffer: `maxrate_bps` flows in until it holds `bufsize_bits`."""

    maxrate_bps: int
    bufsize_bits: int
    timescale: int

    def drained(
        self, frames: Iterable[tuple[int, int]], start: Fraction
    ) -> tuple[Fraction, Fraction]:
        """(lowest, last) fullness in bits; the lowest is below 0 where the buffer runs empty.

        `frames` are (bytes, duration in ticks of `timescale`) in decode order. A frame is taken
        out whole when it is due, then the buffer fills for as long as the frame lasts. `start` is
        a share of the buffer.
        """
        full = Fraction(self.bufsize_bits)
        fullness = lowest = start * full
        for size_bytes, ticks in frames:
            fullness -= 8 * size_bytes
            lowest = min(lowest, fullness)
            fullness = min(full, fullness + Fraction(self.maxrate_bps * ticks, self.timescale))
        return lowest, fullness

    def shortage_bits(self, frames: Iterable[tuple[int, int]], start: Fraction) -> int:
        """By how much a chunk breaks the promise, rounded up; 0 where it keeps it."""
        lowest, last = self.drained(frames, start)
        owed = FULLNESS_JOINED * self.bufsize_bits
        short = max(-lowest, owed - last, Fraction(0))
        return -int(-short // 1)
