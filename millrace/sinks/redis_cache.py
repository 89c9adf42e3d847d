"""The cache that several gateways share, in Redis.

It must never raise, or hold anybody up, because Redis is away: whoever notices pays a fraction of
a second once, and then nobody asks until a task of its own has heard from it again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import OutOfMemoryError, ReadOnlyError

from millrace.sinks.ports import Allowance
from millrace.sinks.redis_channels import AWAY, RedisChannels, cut_is_away

T = TypeVar("T")
CONNECTIONS_MAX = 32
# Ours answers within a millisecond; what takes longer than this isn't worth waiting for.
TIMEOUT_S = 0.25
PROBE_S = 0.25
# The server's own clock fills every bucket, so that gateways whose clocks differ share one. A
# bucket that would be full is forgotten. KEYS: buckets; ARGV: tokens a second and burst of each.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local waits = {}
for number, bucket in ipairs(KEYS) do
  local rate, burst = tonumber(ARGV[2 * number - 1]), tonumber(ARGV[2 * number])
  local held = redis.call('HMGET', bucket, 'tokens', 'at')
  local tokens = burst
  if held[1] then
    tokens = math.min(burst, held[1] + math.max(0, now - held[2]) * rate)
  end
  local wait = 0
  if tokens >= 1 then
    tokens = tokens - 1
  else
    wait = (1 - tokens) / rate
  end
  redis.call('HSET', bucket, 'tokens', string.format('%.6f', tokens), 'at',
             string.format('%.6f', now))
  redis.call('PEXPIRE', bucket, math.ceil((burst - tokens) / rate * 1000) + 1000)
  waits[number] = string.format('%.6f', wait)
end
return waits
"""
# Buckets that one script takes from: Redis serves nobody else meanwhile.
TAKES_MAX = 256


class Take(NamedTuple):
    """A token that somebody waits for."""

    bucket: str
    rate_per_s: float
    burst: int
    answer: asyncio.Future[Allowance]


def answer(takes: list[Take], allowances: list[Allowance]) -> None:
    """Tells each its own; who was cancelled meanwhile hears nothing."""
    for take, allowance in zip(takes, allowances, strict=True):
        if not take.answer.done():
            take.answer.set_result(allowance)


class RedisCache:
    """`Cache` in the Redis at `url`, its keys and channels beginning with `prefix`.

    Made in the event loop that uses it; `close` ends its tasks and connections. How much it holds
    is the server's setting: `maxmemory` with `maxmemory-policy allkeys-lru`.
    """

    def __init__(self, url: str, prefix: str = "millrace:") -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # A connection that a restarted server has forgotten is opened again, at once. A slow
            # server is not asked twice.
            retry=Retry(NoBackoff(), 1, (RedisAway,)),
            protocol=2,
        )
        self._prefix = prefix
        self._redis = Redis.from_pool(pool)
        self._take = self._redis.register_script(_TAKE)
        self._channels = RedisChannels(pool.make_connection)
        self._probing: asyncio.Task[None] | None = None
        self._takes: list[Take] = []
        self._taking: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
        if self._probing is not None:
            self._probing.cancel()
        await self._channels.close()
        await self._redis.aclose()

    @property
    def is_away(self) -> bool:
        """Whether Redis was not there when it was last asked."""
        return self._probing is not None

    async def get(self, key: str) -> bytes | None:
        found = await self._asked(lambda: self._redis.get(self._prefix + key), None)
        # Of text or bytes, as the library is told; it isn't told to decode.
        assert not isinstance(found, str)
        return found

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        ttl_ms = max(1, round(ttl_s * 1000))
        await self._asked(lambda: self._redis.set(self._prefix + key, value, px=ttl_ms), None)

    async def take(self, key: str, rate_per_s: float, burst: int) -> Allowance:
        """One question to Redis for all who come while the last one is under way.

        A question of its own for each costs a gateway as much as all the rest of a small request.
        """
        loop = asyncio.get_running_loop()
        bucket = f"{self._prefix}bucket:{key}"
        take = Take(bucket, rate_per_s, burst, loop.create_future())
        self._takes.append(take)
        if self._taking is None:
            self._taking = loop.create_task(self._take_all())
        return await take.answer

    async def _take_all(self) -> None:
        taken: list[Take] = []
        try:
            while self._takes:
                taken, self._takes = self._takes[:TAKES_MAX], self._takes[TAKES_MAX:]
                answer(taken, await self._allowances(taken))
        except BaseException as problem:  # noqa: BLE001 - handed to everybody who waits
            for take in (*taken, *self._takes):
                if not take.answer.done():
                    take.answer.set_exception(problem)
            self._takes = []
        finally:
            self._taking = None

    async def _allowances(self, takes: list[Take]) -> list[Allowance]:
        buckets = [take.bucket for take in takes]
        numbers = [number for take in takes for number in (take.rate_per_s, take.burst)]
        waits = await self._asked(lambda: self._take(buckets, numbers), [b"0"] * len(takes))
        return [Allowance(wait == 0, wait) for wait in map(float, waits)]

    async def publish(self, channel: str, message: bytes) -> None:
        await self._asked(lambda: self._redis.publish(self._prefix + channel, message), None)

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._channels.subscribe((self._prefix + channel).encode())

    async def _asked(self, ask: Callable[[], Awaitable[T]], otherwise: T) -> T:
        if self._probing is not None:
            return otherwise
        try:
            with cut_is_away():
                return await ask()
        except (*AWAY, OutOfMemoryError, ReadOnlyError):
            if self._probing is None:
                self._probing = asyncio.create_task(self._probe())
            return otherwise

    async def _probe(self) -> None:
        """Until Redis answers; meanwhile nobody else asks."""
        while True:
            await asyncio.sleep(PROBE_S)
            try:
                with cut_is_away():
                    await self._redis.ping()
            except AWAY:
                continue
            self._probing = None
            return
