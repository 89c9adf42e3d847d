"""A broker that dies, restarts or says nothing: callers are told in time, and no word is broken."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from millrace.sinks.ports import Appended, StoreBusy
from millrace.streams.kafka.admin import apply
from millrace.streams.kafka.cluster import Cluster
from tests.stack.fixtures import PrivateServers
from tests.stack.servers import PrivateServer
from tests.streams.engine.mill import MILL_TOPICS, SACKS, make_sack
from tests.streams.log.worlds import PARTITIONS, LogWorld, log_on

pytestmark = [pytest.mark.slow]
# "Within about three seconds": what is measured here, on a machine that does other things too.
TOLD_S = 4.5
BACK_S = 10.0
CALLERS = 8


class Traffic:
    """Callers that append without end; what each was told."""

    def __init__(self, cluster: Cluster, log: LogWorld) -> None:
        self.cluster = cluster
        self.world = log
        self.told: dict[str, Appended] = {}
        self.asked: set[str] = set()
        self.refused: list[str] = []
        self.longest_s = 0.0
        self.tasks = [asyncio.create_task(self.append(f"{log.batch}-{n}")) for n in range(CALLERS)]

    async def append(self, name: str) -> None:
        loop, number = asyncio.get_running_loop(), 0
        while True:
            id_, began_s = f"{name}-{number}", loop.time()
            self.asked.add(id_)
            try:
                sack = make_sack(name, number)
                self.told[id_] = await self.world.log.append(SACKS.name, sack, event_id=id_)
            except StoreBusy:
                self.refused.append(id_)
            self.longest_s = max(self.longest_s, loop.time() - began_s)
            number += 1
            await asyncio.sleep(0.01)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(BACK_S):
            while not holds():
                self.raise_bugs()
                await asyncio.sleep(0.02)

    def raise_bugs(self) -> None:
        for task in self.tasks:
            if task.done():
                task.result()

    async def go_on(self) -> None:
        """Returns when every caller was told of appends again."""
        for name in range(CALLERS):
            prefix = f"{self.world.batch}-{name}-"
            before = sum(id_.startswith(prefix) for id_ in self.told)
            more = partial(self.more, prefix, before)
            await self.until(more)

    def more(self, prefix: str, before: int) -> bool:
        return sum(id_.startswith(prefix) for id_ in self.told) > before

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def check(self) -> None:
        """Every place that anybody was told holds that record; no id is there twice."""
        found: Counter[str] = Counter()
        there: dict[tuple[int, int], str] = {}
        for partition in range(PARTITIONS):
            for record in await self.world.all_of(SACKS.name, partition):
                found[record.id] += 1
                there[partition, record.offset] = record.id
        told = {(at.partition, at.offset): id_ for id_, at in self.told.items()}
        assert told.items() <= there.items()
        assert set(found.values()) <= {1}
        assert set(found) <= self.asked


@asynccontextmanager
async def traffic(broker: PrivateServer) -> AsyncIterator[Traffic]:
    """Callers on a broker of their own, at work."""
    cluster = Cluster(broker.address, secrets.token_hex(4) + "-", PARTITIONS)
    await asyncio.to_thread(apply, cluster, MILL_TOPICS, ())
    async with log_on(cluster) as world:
        running = Traffic(cluster, world)
        try:
            await running.go_on()
            yield running
        finally:
            await running.end()


@pytest.fixture(scope="module")
def broker(private_servers_of_module: PrivateServers) -> PrivateServer:
    made = private_servers_of_module("kafka")
    made.start()
    return made


async def followed(world: LogWorld, seen: list[str]) -> None:
    """Follows until it is told that it can't go on."""
    records = await world.log.follow([SACKS.name])
    while True:
        seen.append((await anext(records)).id)


async def test_a_broker_that_is_killed_costs_no_acknowledged_record(broker: PrivateServer) -> None:
    async with traffic(broker) as running:
        await asyncio.to_thread(broker.kill)
        await running.until(lambda: len(running.refused) >= CALLERS)
        async with log_on(running.cluster) as other:
            # A gateway that starts meanwhile is no worse off.
            await asyncio.gather(
                told_in_time(other.log.append(SACKS.name, make_sack(other.batch))),
                told_in_time(other.log.follow([SACKS.name])),
            )
            await asyncio.to_thread(broker.start)
            await running.go_on()
            place = await other.log.append(SACKS.name, make_sack(other.batch, 1))
            assert (await other.at(place)).event == make_sack(other.batch, 1)
            running.asked.add(place.id)
        await running.end()
        assert running.longest_s < TOLD_S
        await running.check()


async def test_a_broker_that_restarts_costs_no_acknowledged_record(broker: PrivateServer) -> None:
    async with traffic(broker) as running:
        await asyncio.to_thread(broker.terminate)
        await asyncio.to_thread(broker.start)
        await running.go_on()
        await running.end()
        assert running.longest_s < TOLD_S
        await running.check()


async def test_a_broker_that_says_nothing_is_busy_and_then_goes_on(broker: PrivateServer) -> None:
    async with traffic(broker) as running:
        seen: list[str] = []
        follower = asyncio.create_task(followed(running.world, seen))
        await running.until(lambda: bool(seen))
        broker.pause()
        try:
            await running.until(lambda: len(running.refused) >= CALLERS)
            await asyncio.gather(
                told_in_time(running.world.log.read(SACKS.name, 0, -1, 10)),
                told_in_time(running.world.log.end(SACKS.name, 0)),
                told_in_time(running.world.log.follow([SACKS.name])),
            )
            with pytest.raises(StoreBusy):
                await asyncio.wait_for(follower, BACK_S)
        finally:
            broker.resume()
        await running.go_on()
        await running.world.log.follow([SACKS.name])
        await running.end()
        assert running.longest_s < TOLD_S
        await running.check()


async def told_in_time(ask: Any) -> None:
    async with asyncio.timeout(TOLD_S):
        with pytest.raises(StoreBusy):
            await ask
