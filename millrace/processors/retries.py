"""When a failed piece of work is tried again (TRN-10); every fold that asks for work uses it."""

from hashlib import blake2b

ATTEMPTS_MAX = 3
BACKOFF_FIRST_MS = 2_000
BACKOFF_FACTOR = 4
# A day: past the longest encode of the longest video accepted, and an operator's night's sleep.
GIVE_UP_MS = 24 * 3_600_000


def backoff_ms(attempt: int, cause: str) -> int:
    """Exponential with jitter of a quarter, derived from the cause's id: equal in every replay."""
    base = BACKOFF_FIRST_MS * BACKOFF_FACTOR ** (attempt - 1)
    jitter = int.from_bytes(blake2b(cause.encode(), digest_size=2).digest(), "big") / 0xFFFF
    return int(base * (0.75 + jitter / 2))
