"""Heavy work of operators: one of a kind at a time, and the same asked twice is run once."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from millrace.deploy.single_flight import SingleFlight


class Work:
    """Work that ends when it is let go; it counts how often it began and how many ran at once."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = 0
        self.now = 0
        self.most = 0

    async def __call__(self) -> Mapping[str, Any]:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await self.go.wait()
        self.now -= 1
        return {"run": self.begun}


async def test_the_same_asked_twice_is_one_run_and_one_report() -> None:
    flight, work = SingleFlight(), Work()
    both = [asyncio.create_task(flight.run("all", work)) for _ in range(2)]
    await asyncio.sleep(0)
    work.go.set()
    assert await asyncio.gather(*both) == [{"run": 1}, {"run": 1}]
    assert await flight.run("all", work) == {"run": 2}


async def test_different_work_of_a_kind_waits_its_turn() -> None:
    flight, work = SingleFlight(), Work()
    both = [asyncio.create_task(flight.run(what, work)) for what in ("videos", "uploads")]
    for _ in range(5):
        await asyncio.sleep(0)
    assert work.begun == 1
    work.go.set()
    await asyncio.gather(*both)
    assert (work.begun, work.most) == (2, 1)


async def test_one_who_goes_away_takes_the_report_from_nobody() -> None:
    flight, work = SingleFlight(), Work()
    gone, stays = (asyncio.create_task(flight.run("all", work)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    with suppress(asyncio.CancelledError):
        await gone
    work.go.set()
    assert await stays == {"run": 1}
