"""What `Cache` promises, over every implementation."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from millrace.sinks.inprocess_cache import InProcessCache
from millrace.sinks.ports import Cache
from millrace.sinks.redis_cache import RedisCache
from tests.stack.servers import SharedServer

Passes = Callable[[float], Awaitable[None]]


class Hand:
    """A clock of seconds, moved by the test."""

    at_s = 0.0

    def now_s(self) -> float:
        return self.at_s

    async def passes(self, time_s: float) -> None:
        self.at_s += time_s


async def really_passes(time_s: float) -> None:
    """The server's clock is not ours to move."""
    end_s = time.monotonic() + time_s
    while time.monotonic() < end_s:
        await asyncio.sleep(0.005)


@pytest.fixture(params=["in process", "redis"])
async def cache_and_time(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Cache, Passes]]:
    if request.param == "in process":
        hand = Hand()
        yield InProcessCache(hand.now_s), hand.passes
        return
    redis: SharedServer = request.getfixturevalue("redis_server")
    cache = RedisCache(f"redis://{redis.address}", f"t{secrets.token_hex(6)}:")
    yield cache, really_passes
    await cache.close()


@pytest.fixture
def cache(cache_and_time: tuple[Cache, Passes]) -> Cache:
    return cache_and_time[0]


@pytest.fixture
def passes(cache_and_time: tuple[Cache, Passes]) -> Passes:
    return cache_and_time[1]


async def test_a_value_is_there_until_its_time_is_over(cache: Cache, passes: Passes) -> None:
    assert await cache.get("k") is None
    await cache.set("k", b"1", ttl_s=0.001)
    await cache.set("k", b"\0\xff", ttl_s=60)
    await cache.set("short", b"1", ttl_s=0.25)
    assert await cache.get("short") == b"1"
    await passes(0.3)
    assert await cache.get("short") is None
    assert await cache.get("k") == b"\0\xff"


async def test_a_bucket_gives_its_burst_and_then_its_rate(cache: Cache, passes: Passes) -> None:
    taken = [await cache.take("ip", rate_per_s=2, burst=3) for _ in range(5)]
    assert [each.allowed for each in taken] == [True, True, True, False, False]
    assert taken[0].retry_after_s == 0
    assert 0.2 < taken[-1].retry_after_s <= 0.5
    assert (await cache.take("another", rate_per_s=2, burst=3)).allowed
    await passes(taken[-1].retry_after_s)
    assert (await cache.take("ip", rate_per_s=2, burst=3)).allowed
    assert not (await cache.take("ip", rate_per_s=2, burst=3)).allowed


async def test_a_bucket_never_holds_more_than_its_burst(cache: Cache, passes: Passes) -> None:
    assert (await cache.take("ip", rate_per_s=20, burst=2)).allowed
    await passes(0.3)
    later = [await cache.take("ip", rate_per_s=20, burst=2) for _ in range(3)]
    assert [each.allowed for each in later] == [True, True, False]


async def test_subscribers_hear_what_is_published_while_they_listen(cache: Cache) -> None:
    await cache.publish("video", b"before")
    async with cache.subscribe("video") as one, cache.subscribe("video") as two:
        await cache.publish("video", b"1")
        await cache.publish("another", b"not this")
        await cache.publish("video", b"2")
        assert [await anext(one), await anext(one)] == [b"1", b"2"]
        assert await anext(two) == b"1"
    await cache.publish("video", b"after")
    async with cache.subscribe("video") as again:
        await cache.publish("video", b"3")
        assert await anext(again) == b"3"


async def test_who_gives_up_waiting_for_a_message_hears_the_next(cache: Cache) -> None:
    async with cache.subscribe("video") as messages:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(messages), 0.01)
        await cache.publish("video", b"1")
        assert await anext(messages) == b"1"


async def test_a_slow_subscriber_loses_its_oldest_and_holds_nobody_up(cache: Cache) -> None:
    async with cache.subscribe("video") as messages, cache.subscribe("end") as end:
        async with asyncio.timeout(5):
            for number in range(1_005):
                await cache.publish("video", b"%d" % number)
            await cache.publish("end", b"")
            await anext(end)
        assert await anext(messages) == b"5"


async def test_all_who_come_at_once_get_the_answer_to_their_own_question(cache: Cache) -> None:
    """More than one question to Redis holds; every other one is about a bucket that is empty."""
    await cache.take("empty", rate_per_s=0.001, burst=1)
    asked = ["empty" if number % 2 else f"full-{number}" for number in range(600)]
    taken = await asyncio.gather(*(cache.take(key, 0.001, 1) for key in asked))
    assert [each.allowed for each in taken] == [key != "empty" for key in asked]


async def test_who_comes_at_once_for_one_bucket_gets_no_more_than_it_holds(cache: Cache) -> None:
    taken = await asyncio.gather(*(cache.take("ip", 0.001, 10) for _ in range(50)))
    assert [each.allowed for each in taken] == [True] * 10 + [False] * 40
