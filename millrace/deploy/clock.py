"""The wall clock, handed to whatever needs the time."""

import time


def now_ms() -> int:
    """Milliseconds of the epoch."""
    return time.time_ns() // 1_000_000
