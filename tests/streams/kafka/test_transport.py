"""What stock Faust loses is kept: each hole that was seen on a real broker, closed."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import pytest
from aiokafka import AIOKafkaProducer
from faust.transport.consumer import RecordMap
from faust.types import TP

from millrace.schemas.events import DeletionRequested
from millrace.streams.kafka.app import App, Membership, Reading
from millrace.streams.kafka.intake import Delivery, Intake
from millrace.streams.kafka.transport import Consumer, Transport
from millrace.streams.metrics import Metrics
from tests.stack.servers import SharedServer
from tests.streams.engine.mill import MILLING
from tests.streams.kafka.site import Site, running, site_of, until

pytestmark = pytest.mark.slow
GROUP = "clerks"


class Clerk:
    """A member that is handed records, and acknowledges those that `wants` says, at once."""

    def __init__(
        self,
        site: Site,
        wants: Callable[[int], bool] = lambda offset: True,
        last_wants: Callable[[int], bool] = lambda offset: False,
        instance: str | None = None,
    ) -> None:
        self.wants = wants
        self.last_wants = last_wants
        self.intake = Intake(MILLING, self._took)
        self.handed: list[tuple[int, int]] = []
        self.open: dict[tuple[int, int], Delivery] = {}
        self.partitions: list[set[int]] = []
        self.app = App(
            site.cluster, GROUP, Metrics(1), Membership(instance, 5.0), Reading(500, 10_000)
        )
        self.app.host("clerk", MILLING, self)

    def _took(self, delivery: Delivery) -> None:
        place = delivery.tp.partition, delivery.record.offset
        self.handed.append(place)
        self.open[place] = delivery
        if self.wants(place[1]):
            self.finish(place)

    def finish(self, place: tuple[int, int]) -> None:
        self.open.pop(place).done()

    async def hand_back(self) -> None:
        """Acknowledges in the last moment, as work does that ends while partitions go."""
        for place in list(self.open):
            if self.last_wants(place[1]):
                self.finish(place)

    def lost(self) -> None:
        self.open.clear()
        self.intake.forget()

    def took(self, assigned: frozenset[TP]) -> None:
        self.partitions.append({tp.partition for tp in assigned})

    async def run(self, stop: asyncio.Event) -> None:
        await self.app.run(stop)


def wish(number: int) -> DeletionRequested:
    return DeletionRequested(f"v{number}", "go", ())


async def test_a_commit_never_passes_a_record_that_is_not_done(kafka: SharedServer) -> None:
    async with site_of(kafka.address, [MILLING]) as site:
        await site.append(MILLING, *map(wish, range(9)))
        clerk = Clerk(site, wants=lambda offset: offset != 3)
        async with running(clerk):
            await until(lambda: len(clerk.handed) == 9)
            await until(lambda: is_committed(site, {0: 3}))
            assert not await clerk.app.consumer.commit()
            assert await site.committed(GROUP, MILLING) == {0: 3}
            clerk.finish((0, 3))
            await until(lambda: is_committed(site, {0: 9}))


async def is_committed(site: Site, wanted: dict[int, int]) -> bool:
    return await site.committed(GROUP, MILLING) == wanted


async def test_what_is_acknowledged_while_partitions_go_is_committed_before_they_do(
    kafka: SharedServer,
) -> None:
    async with site_of(kafka.address, [MILLING]) as site:
        await site.append(MILLING, *map(wish, range(20)))
        first = Clerk(site, wants=lambda o: False, last_wants=lambda o: o < 15)
        async with running(first):
            await until(lambda: len(first.handed) == 20)
            second = Clerk(site)
            async with running(second):
                both = first, second
                await until(lambda: sum(len(one.handed) for one in both) >= 25)
                again = first.handed[20:] + second.handed
                assert sorted(again) == [(0, offset) for offset in range(15, 20)]


async def test_a_seek_goes_back_to_the_first_record_where_nothing_was_committed(
    kafka: SharedServer,
) -> None:
    async with site_of(kafka.address, [MILLING]) as site:
        await site.append(MILLING, *map(wish, range(20)))
        clerk = Clerk(site, wants=lambda offset: False)
        async with running(clerk):
            await until(lambda: len(clerk.handed) == 20)
            await clerk.app.consumer.perform_seek()
            await until(lambda: len(clerk.handed) == 40)
            assert clerk.handed[20:] == clerk.handed[:20]


class SlowConsumer(Consumer):
    """Whatever it fetched comes late, once, as if the loop had other things to do."""

    delays = 1

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109 - as Faust declares it
    ) -> RecordMap:
        records = await super()._getmany(active_partitions, timeout)
        if records and self.delays:
            self.delays -= 1
            await asyncio.sleep(2.0)
        return records


class SlowTransport(Transport):
    Consumer = SlowConsumer


async def test_a_batch_that_was_fetched_before_a_seek_is_not_handed_on_after_it(
    kafka: SharedServer,
) -> None:
    async with site_of(kafka.address, [MILLING], partitions=2) as site:
        await site.append(MILLING, *map(wish, range(40)))
        slow = Clerk(site)
        slow.app.transport = SlowTransport(slow.app.conf.broker_consumer, slow.app)
        other = Clerk(site)
        async with running(slow), running(other):
            ends = {p: await site.log.end(MILLING.name, p) for p in range(2)}
            await until(lambda: is_committed(site, ends))
            assert len(slow.handed) + len(other.handed) == 40


async def test_aborted_records_are_handed_to_nobody_and_markers_hold_nothing_up(
    kafka: SharedServer,
) -> None:
    async with site_of(kafka.address, [MILLING]) as site:
        topic = site.cluster.topic(MILLING)
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.address, transactional_id=site.cluster.prefix
        )
        await producer.start()
        for number, abort in enumerate([False, True, False, True, False]):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"%d" % number, b"k", partition=0)
            await (producer.abort_transaction() if abort else producer.commit_transaction())
        await producer.stop()
        clerk = Clerk(site)
        async with running(clerk):
            await until(lambda: len(clerk.handed) == 3)
            assert [offset for _, offset in clerk.handed] == [0, 4, 8]
            await until(lambda: is_committed(site, {0: 9}))


async def test_a_partition_that_is_paused_during_a_fetch_loses_nothing(
    kafka: SharedServer,
) -> None:
    async with site_of(kafka.address, [MILLING]) as site:
        clerk = Clerk(site)
        async with running(clerk):
            here = [TP(site.cluster.topic(MILLING), 0)]
            for number in range(1, 7):
                # A fetch is under way now, or about to be.
                clerk.app.consumer.pause_partitions(here)
                await site.append(MILLING, wish(number), wish(-number))
                await asyncio.sleep(0.15)
                clerk.app.consumer.resume_partitions(here)
                await until(partial(has_been_handed, clerk, 2 * number))
            assert clerk.handed == [(0, offset) for offset in range(12)]


def has_been_handed(clerk: Clerk, count: int) -> bool:
    return len(clerk.handed) == count


async def test_members_that_come_and_go_over_a_backlog_skip_nothing(
    kafka: SharedServer,
) -> None:
    partitions, count = 4, 6_000
    async with site_of(kafka.address, [MILLING], partitions) as site:
        await site.append(MILLING, *map(wish, range(count)))
        # Every member acknowledges all but the sixteenths, and those a little later.
        clerks = [Clerk(site, wants=lambda o: o % 16 != 0) for _ in range(4)]
        sweeping = asyncio.create_task(sweep(clerks))
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(running(clerks[0]))
            for clerk in clerks[1:3]:
                async with running(clerk):
                    await asyncio.sleep(0.2)
            await stack.enter_async_context(running(clerks[3]))
            ends = {p: await site.log.end(MILLING.name, p) for p in range(partitions)}
            await until(lambda: is_committed(site, ends))
        sweeping.cancel()
        handed = {place for clerk in clerks for place in clerk.handed}
        assert len(handed) == count


async def sweep(clerks: list[Clerk]) -> None:
    while True:
        await asyncio.sleep(0.05)
        for clerk in clerks:
            for place in list(clerk.open):
                clerk.finish(place)


async def test_a_member_with_a_permanent_name_comes_back_to_its_partitions_unnoticed(
    kafka: SharedServer,
) -> None:
    async with site_of(kafka.address, [MILLING], partitions=2) as site:
        stays = Clerk(site, instance="stays")
        async with running(stays):
            async with running(Clerk(site, instance="goes")):
                await until(lambda: stays.partitions[-1:] and len(stays.partitions[-1]) == 1)
                changes = len(stays.partitions)
            back = Clerk(site, instance="goes")
            async with running(back):
                assert len(back.partitions[-1]) == 1
                assert back.partitions[-1] != stays.partitions[-1]
                assert len(stays.partitions) == changes


class Careless(Clerk):
    def _took(self, delivery: Delivery) -> None:
        raise ZeroDivisionError("a bug of the step")


async def test_a_bug_of_a_step_ends_the_worker_and_acknowledges_nothing(
    kafka: SharedServer,
) -> None:
    async with site_of(kafka.address, [MILLING]) as site:
        await site.append(MILLING, wish(1))
        with pytest.raises(ZeroDivisionError):
            await Careless(site).run(asyncio.Event())
        assert await site.committed(GROUP, MILLING) == {}


async def test_a_member_more_than_there_are_partitions_is_ready_and_takes_over(
    kafka: SharedServer,
) -> None:
    async with site_of(kafka.address, [MILLING]) as site:
        first, second = Clerk(site), Clerk(site)
        async with running(first):
            async with running(second):
                assert sorted(map(len, (first.partitions[-1], second.partitions[-1]))) == [0, 1]
            await until(lambda: first.partitions[-1] == {0})
            await site.append(MILLING, wish(1))
            await until(lambda: first.handed == [(0, 0)])
