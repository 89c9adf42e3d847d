"""The cache of a single process: a dictionary, buckets and queues, each bounded.

It must never grow without bound and never be what somebody relies on to find something.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from millrace.sinks.fan_out import FanOut
from millrace.sinks.ports import Allowance

ENTRIES_MAX = 100_000
ALLOWED = Allowance(True, 0)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float


class InProcessCache:
    """`Cache` in the memory of one event loop. `now_s` is a clock that never goes back."""

    def __init__(self, now_s: Callable[[], float], entries_max: int = ENTRIES_MAX) -> None:
        self._now_s = now_s
        self._entries_max = entries_max
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._fan_out = FanOut()

    async def get(self, key: str) -> bytes | None:
        found = self._entries.get(key)
        if found is None or found[1] <= self._now_s():
            return None
        self._entries.move_to_end(key)
        return found[0]

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        self._entries[key] = value, self._now_s() + ttl_s
        self._entries.move_to_end(key)
        if len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)

    async def take(self, key: str, rate_per_s: float, burst: int) -> Allowance:
        now_s = self._now_s()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(burst, now_s)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._entries_max:
            # The one unused for longest is the likeliest to be full again, which is forgetting it.
            self._buckets.popitem(last=False)
        bucket.tokens = min(burst, bucket.tokens + (now_s - bucket.filled_s) * rate_per_s)
        bucket.filled_s = now_s
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return ALLOWED
        return Allowance(False, (1 - bucket.tokens) / rate_per_s)

    async def publish(self, channel: str, message: bytes) -> None:
        self._fan_out.publish(channel, message)

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._fan_out.subscribe(channel)
