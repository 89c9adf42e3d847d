"""Health, readiness and metrics over HTTP (OPS-4, OPS-5)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from millrace.gateway.feed import Feed
from tests.gateway.memory_log import MemoryLog
from tests.gateway.world import World

NOBODY = {"Accept": "*/*"}


async def test_a_gateway_whose_log_is_away_lives_but_is_not_ready(world: World) -> None:
    response, _ = await world.call("GET", "/readyz", headers=NOBODY)
    assert response.status == 200
    world.log.busy = True
    response, body = await world.call("GET", "/readyz", headers=NOBODY)
    assert (response.status, body["reason"]) == (503, "the log is away")
    response, _ = await world.call("GET", "/healthz", headers=NOBODY)
    assert response.status == 200


class BrokenLog(MemoryLog):
    """A log whose records are of no kind that the feed can take."""

    async def drained(self, queue: object) -> AsyncIterator[Any]:
        yield object()


async def test_a_feed_that_broke_does_not_say_that_it_follows(world: World) -> None:
    feed = Feed(BrokenLog(world.tables, world.clock))
    with pytest.raises(AttributeError):
        await feed.run()
    assert not feed.following


async def test_requests_are_counted_by_route_never_by_id(world: World) -> None:
    for digit in "ab":
        await world.call("GET", f"/v1/videos/{digit * 32}")
    async with world.client.get("/metrics") as response:
        text = await response.text()
    line = (
        'millrace_http_requests_total{method="GET",route="/v1/videos/{video_id}",status="404"} 2.0'
    )
    assert line in text
    assert "aaaa" not in text
