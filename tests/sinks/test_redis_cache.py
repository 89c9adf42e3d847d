"""Redis while it is away, slow and back: it costs speed, milliseconds, and nobody an error."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable

import pytest
import uvloop
from redis.asyncio import Redis

from millrace.sinks.ports import Allowance
from millrace.sinks.redis_cache import RedisCache
from tests.faults.proxy import Fault, FaultProxy
from tests.stack.servers import PrivateServer, ServerFactory

# A call that meets Redis as it goes away waits so long at most; every later one not at all.
FIRST_S_MAX = 0.6
LATER_S_MAX = 0.02
BACK_WITHIN_S = 5.0


@pytest.fixture
def server(redis_factory: ServerFactory) -> PrivateServer:
    made = redis_factory()
    made.start()
    return made


@pytest.fixture
async def cache(server: PrivateServer) -> AsyncIterator[RedisCache]:
    made = RedisCache(f"redis://{server.address}")
    yield made
    await made.close()


async def timed(call: Awaitable[object]) -> float:
    begin_s = time.monotonic()
    await call
    return time.monotonic() - begin_s


async def is_back(cache: RedisCache) -> None:
    async with asyncio.timeout(BACK_WITHIN_S):
        while cache.is_away:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_while_it_is_away_nothing_is_raised_or_held_up_and_it_comes_back_by_itself(
    cache: RedisCache, server: PrivateServer, how: str
) -> None:
    await cache.set("k", b"1", ttl_s=60)
    assert await cache.get("k") == b"1"
    if how == "killed":
        server.kill()
    else:
        server.pause()
    # Many at once: none waits for another to find out.
    assert await timed(asyncio.gather(*(cache.get("k") for _ in range(200)))) < FIRST_S_MAX
    assert cache.is_away
    assert await timed(cache.set("k", b"2", ttl_s=60)) < LATER_S_MAX
    assert await cache.get("k") is None
    for _ in range(5):
        assert await cache.take("ip", rate_per_s=1, burst=1) == Allowance(True, 0)
    assert await timed(cache.publish("video", b"nobody")) < LATER_S_MAX
    if how == "killed":
        server.start()
    else:
        server.resume()
    await is_back(cache)
    await cache.set("k", b"3", ttl_s=60)
    assert await cache.get("k") == b"3"


async def test_the_first_token_after_a_restart_needs_no_script_of_before(
    cache: RedisCache, server: PrivateServer
) -> None:
    assert (await cache.take("ip", rate_per_s=0.001, burst=2)).allowed
    server.kill()
    server.start()
    taken = [await cache.take("another", rate_per_s=0.001, burst=1) for _ in range(2)]
    assert not cache.is_away
    assert [each.allowed for each in taken] == [True, False]


@pytest.mark.parametrize("at_first", [True, False])
async def test_who_listens_goes_on_hearing_after_a_restart(
    cache: RedisCache, server: PrivateServer, at_first: bool
) -> None:
    """at_first: Redis is there when the listening begins; else it comes later."""
    if not at_first:
        server.kill()
    async with cache.subscribe("video") as one, cache.subscribe("audio") as two:
        if at_first:
            await cache.publish("video", b"0")
            assert await anext(one) == b"0"
            server.kill()
        server.start()
        assert await heard(cache, "video", one) == b"again"
        assert await heard(cache, "audio", two) == b"again"


async def heard(cache: RedisCache, channel: str, messages: AsyncIterator[bytes]) -> bytes:
    """The first message that gets through, of one every tenth of a second."""
    async with asyncio.timeout(BACK_WITHIN_S):
        while True:
            await cache.publish(channel, b"again")
            try:
                return await asyncio.wait_for(anext(messages), 0.1)
            except TimeoutError:
                continue


async def test_gateways_share_their_buckets_and_their_channels(server: PrivateServer) -> None:
    one, two = (RedisCache(f"redis://{server.address}") for _ in range(2))
    assert (await one.take("ip", rate_per_s=0.001, burst=1)).allowed
    assert not (await two.take("ip", rate_per_s=0.001, burst=1)).allowed
    async with one.subscribe("video") as messages:
        await two.publish("video", b"1")
        assert await anext(messages) == b"1"
    for each in (one, two):
        await each.close()


async def test_a_bucket_that_is_full_again_is_forgotten(
    cache: RedisCache, server: PrivateServer
) -> None:
    assert (await cache.take("ip", rate_per_s=1000, burst=1)).allowed
    async with Redis.from_url(f"redis://{server.address}") as redis:
        assert 0 < await redis.pttl("millrace:bucket:ip") <= 1001


def test_a_connection_that_is_cut_is_no_error_in_the_gateways_own_loop(
    server: PrivateServer,
) -> None:
    async def cut() -> None:
        through = RedisCache(f"redis://{proxy.address}")
        await through.set("k", b"2", ttl_s=60)
        # In a thread, so that the loop hears of the cut before it writes.
        await asyncio.to_thread(proxy.set, Fault(refuse=True))
        await asyncio.to_thread(lambda: None)
        assert await through.get("k") is None
        assert (await through.take("b", 1.0, 1)).allowed
        await through.close()

    proxy = FaultProxy((server.host, server.port))
    proxy.start()
    try:
        uvloop.run(cut())
    finally:
        proxy.stop()
