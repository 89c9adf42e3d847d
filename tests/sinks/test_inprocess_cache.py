"""What the cache of one process does beyond its port: bounds, and times to the millisecond."""

import pytest

from millrace.sinks.inprocess_cache import InProcessCache


class Hand:
    """A clock of milliseconds, moved by the test."""

    at_ms = 0

    def now_s(self) -> float:
        return self.at_ms / 1000


async def test_it_stays_within_its_bounds_and_keeps_what_is_used() -> None:
    cache = InProcessCache(Hand().now_s, entries_max=100)
    await cache.set("used", b"", ttl_s=10)
    for number in range(150):
        await cache.set(str(number), b"", ttl_s=10)
        assert await cache.get("used") == b""
    assert await cache.get("0") is None


async def test_a_value_is_gone_at_the_end_of_its_time_and_not_before() -> None:
    hand = Hand()
    cache = InProcessCache(hand.now_s)
    await cache.set("k", b"2", ttl_s=10)
    hand.at_ms += 9_999
    assert await cache.get("k") == b"2"
    hand.at_ms += 1
    assert await cache.get("k") is None


async def test_a_token_comes_when_it_was_said_to_and_not_before() -> None:
    hand = Hand()
    cache = InProcessCache(hand.now_s)
    assert (await cache.take("ip", rate_per_s=2, burst=1)).allowed
    assert (await cache.take("ip", rate_per_s=2, burst=1)).retry_after_s == pytest.approx(0.5)
    hand.at_ms += 499
    assert not (await cache.take("ip", rate_per_s=2, burst=1)).allowed
    hand.at_ms += 1
    assert (await cache.take("ip", rate_per_s=2, burst=1)).allowed
