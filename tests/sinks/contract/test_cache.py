"""What `Cache` promises, over every implementation."""

import asyncio

import pytest

from millrace.sinks.ports import Cache
from tests.sinks.door_client import Clock


async def test_a_value_is_there_until_its_time_is_over(cache: Cache, cache_clock: Clock) -> None:
    assert await cache.get("k") is None
    await cache.set("k", b"1", ttl_s=10)
    await cache.set("k", b"2", ttl_s=10)
    cache_clock.at_ms += 9_999
    assert await cache.get("k") == b"2"
    cache_clock.at_ms += 1
    assert await cache.get("k") is None


async def test_it_stays_within_its_bounds_and_keeps_what_is_used(cache: Cache) -> None:
    await cache.set("used", b"", ttl_s=10)
    for number in range(150):
        await cache.set(str(number), b"", ttl_s=10)
        assert await cache.get("used") == b""
    assert await cache.get("0") is None


async def test_a_bucket_gives_its_burst_and_then_its_rate(cache: Cache, cache_clock: Clock) -> None:
    taken = [await cache.take("ip", rate_per_s=2, burst=3) for _ in range(5)]
    assert [each.allowed for each in taken] == [True, True, True, False, False]
    assert taken[-1].retry_after_s == pytest.approx(0.5)
    assert (await cache.take("another", rate_per_s=2, burst=3)).allowed
    cache_clock.at_ms += 499
    assert not (await cache.take("ip", rate_per_s=2, burst=3)).allowed
    cache_clock.at_ms += 1
    assert (await cache.take("ip", rate_per_s=2, burst=3)).allowed
    cache_clock.at_ms += 3_600_000
    later = [await cache.take("ip", rate_per_s=2, burst=3) for _ in range(4)]
    assert [each.allowed for each in later] == [True, True, True, False]


async def test_subscribers_hear_what_is_published_while_they_listen(cache: Cache) -> None:
    await cache.publish("video", b"before")
    async with cache.subscribe("video") as one, cache.subscribe("video") as two:
        await cache.publish("video", b"1")
        await cache.publish("another", b"not this")
        await cache.publish("video", b"2")
        assert [await anext(one), await anext(one)] == [b"1", b"2"]
        assert await anext(two) == b"1"
    await cache.publish("video", b"after")


async def test_a_slow_subscriber_loses_its_oldest_and_holds_nobody_up(cache: Cache) -> None:
    async with cache.subscribe("video") as messages:
        async with asyncio.timeout(5):
            for number in range(1_005):
                await cache.publish("video", b"%d" % number)
        assert await anext(messages) == b"5"
