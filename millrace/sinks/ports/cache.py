"""The cache's port: speed, rate limits, progress. It must never hold what would be missed."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol


class Allowance(NamedTuple):
    """What a token bucket said; retry_after_s is 0 where allowed."""

    allowed: bool
    retry_after_s: float


class Cache(Protocol):
    """Speed, and nothing else: an implementation may lose anything at any time.

    Calls are of one event loop. None raises because the cache is away: get then gives None, take
    allows, publish reaches nobody.
    """

    async def get(self, key: str) -> bytes | None:
        """None where it was never set, its time is over or it was pushed out."""
        ...

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        """Kept for ttl_s at most."""
        ...

    async def take(self, key: str, rate_per_s: float, burst: int) -> Allowance:
        """Takes a token from the bucket `key`, which holds `burst` and refills at `rate_per_s`."""
        ...

    async def publish(self, channel: str, message: bytes) -> None:
        """To whoever is subscribed now. Never waits for a slow one: that one loses its oldest."""
        ...

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Messages published after entering, in order; leaving ends the subscription."""
        ...
