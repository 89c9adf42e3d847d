"""The port of the log, over each engine: what the gateway may rely on (sinks/ports/log.py)."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from millrace.schemas.envelope import Recorded
from millrace.schemas.events import ObjectsDeleted, RedriveRequested
from millrace.schemas.partitioning import partition_of
from millrace.schemas.topics import OBJECT_NOTIFICATIONS, REDRIVES
from millrace.sinks.ports import Append, StoreBusy
from tests.streams.engine.mill import FLOUR, MILLING_LATER, ORDERS, SACKS, make_order, make_sack
from tests.streams.log.worlds import PARTITIONS, LogWorld

# A log is opened once for all of them: the first append of a producer takes half a second.
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_what_was_appended_is_read_back_with_its_envelope(world: LogWorld) -> None:
    sack = make_sack(world.batch)
    named = await world.log.append(SACKS.name, sack, cause="why", at_ms=5, event_id=world.batch)
    found = await world.at(named)
    assert (found.event, found.id, found.at_ms, found.cause) == (sack, world.batch, 5, "why")
    assert (found.topic, found.partition, found.offset) == named[:3]
    assert (found.key, named.id) == (world.batch.encode(), world.batch)


async def test_a_fact_without_id_and_time_is_given_both(world: LogWorld) -> None:
    before_ms = time.time_ns() // 1_000_000 - 1
    places = [await world.log.append(SACKS.name, make_sack(world.batch)) for _ in range(2)]
    first, second = [await world.at(place) for place in places]
    assert [first.id, second.id] == [place.id for place in places]
    assert len({first.id, second.id}) == 2
    assert before_ms <= first.at_ms <= second.at_ms <= time.time_ns() // 1_000_000 + 1
    assert (first.cause, second.cause) == ("", "")


async def test_a_record_lies_where_its_key_says(world: LogWorld) -> None:
    for number in range(8):
        name = f"{world.batch}-{number}"
        place = await world.log.append(SACKS.name, make_sack(name))
        assert place.partition == partition_of(name.encode(), PARTITIONS)
    assert world.log.partitions(SACKS.name) == PARTITIONS


@pytest.mark.parametrize("partition", range(PARTITIONS))
async def test_a_redrive_lies_beside_the_record_that_it_names(
    world: LogWorld, partition: int
) -> None:
    wish = RedriveRequested("letter", "tallies", "counter", "record", "sacks", partition, 0, b"rye")
    place = await world.log.append(REDRIVES.name, wish)
    assert place.partition == partition
    assert (await world.at(place)).event == wish


async def test_records_of_one_key_stand_in_the_order_of_their_appends(world: LogWorld) -> None:
    sacks = [Append(SACKS.name, make_sack(world.batch, number)) for number in range(50)]
    places = await world.log.append_many(sacks)
    assert [place.partition for place in places] == [places[0].partition] * 50
    found = await world.all_of(SACKS.name, places[0].partition, places[0].offset - 1)
    assert [record.event.upload_id for record in found] == [str(number) for number in range(50)]
    assert [record.offset for record in found] == [place.offset for place in places]


async def test_appends_of_one_call_may_go_to_several_topics(world: LogWorld) -> None:
    appends = [Append(SACKS.name, make_sack(world.batch)), Append(ORDERS.name, make_order())]
    sack, order = await world.log.append_many(appends)
    assert ((await world.at(sack)).event, (await world.at(order)).event) == (
        make_sack(world.batch),
        make_order(),
    )
    assert await world.log.append_many([]) == ()


async def test_many_callers_are_each_told_their_own_place(world: LogWorld) -> None:
    names = [f"{world.batch}-{number}" for number in range(500)]
    places = await asyncio.gather(
        *(world.log.append(SACKS.name, make_sack(name), event_id=name) for name in names)
    )
    assert len({(place.partition, place.offset) for place in places}) == 500
    for partition in range(PARTITIONS):
        there = {r.offset: r.id for r in await world.all_of(SACKS.name, partition)}
        told = {p.offset: p.id for p in places if p.partition == partition}
        assert told.items() <= there.items()


async def test_an_event_that_the_topic_does_not_carry_comes_before_any_append(
    world: LogWorld,
) -> None:
    ends = [await world.log.end(SACKS.name, partition) for partition in range(PARTITIONS)]
    with pytest.raises(TypeError):
        await world.log.append_many(
            [Append(SACKS.name, make_sack()), Append(SACKS.name, make_order())]
        )
    with pytest.raises(KeyError):
        await world.log.append_many([Append(SACKS.name, make_sack()), Append("saks", make_sack())])
    assert ends == [await world.log.end(SACKS.name, partition) for partition in range(PARTITIONS)]


async def test_a_topic_that_is_not_in_the_catalogue_is_a_key_error(world: LogWorld) -> None:
    with pytest.raises(KeyError):
        await world.log.append("saks", make_sack())
    with pytest.raises(KeyError):
        await world.log.follow(["saks"])
    with pytest.raises(KeyError):
        await world.log.read("saks", 0, -1, 1)
    with pytest.raises(KeyError):
        await world.log.end("saks", 0)
    with pytest.raises(KeyError):
        world.log.partitions("saks")


async def test_a_fact_that_is_appended_again_keeps_its_id_wherever_it_stands(
    world: LogWorld,
) -> None:
    first = await world.log.append(SACKS.name, make_sack(world.batch, 1), event_id=world.batch)
    again = await world.log.append(SACKS.name, make_sack(world.batch, 2), event_id=world.batch)
    assert (first.id, again.id) == (world.batch, world.batch)
    found = await world.all_of(SACKS.name, first.partition, first.offset - 1)
    # One engine finds the first; the other writes a second, which folds know by its id.
    assert {record.id for record in found if record.key == world.batch.encode()} == {world.batch}
    assert (await world.at(first)).event == make_sack(world.batch, 1)
    assert (await world.at(again)).id == world.batch


async def test_notifications_of_the_store_are_bytes_with_an_id_from_their_place(
    world: LogWorld,
) -> None:
    before_ms = time.time_ns() // 1_000_000 - 1
    place = await world.log.append_bytes(OBJECT_NOTIFICATIONS.name, b"k", b'{"any": "json"}')
    found = await world.at(place)
    assert (found.event, found.key, len(found.id)) == (b'{"any": "json"}', b"k", 32)
    assert before_ms <= found.at_ms <= time.time_ns() // 1_000_000 + 1


async def test_a_page_holds_no_more_than_was_asked_for(world: LogWorld) -> None:
    sacks = [Append(SACKS.name, make_sack(world.batch, number)) for number in range(7)]
    places = await world.log.append_many(sacks)
    where = SACKS.name, places[0].partition
    pages: list[list[Any]] = []
    after = places[0].offset - 1
    while page := await world.log.read(*where, after, 3):
        pages.append([number_of(record) for record in page])
        after = page[-1].offset
    assert pages == [["0", "1", "2"], ["3", "4", "5"], ["6"]]


async def test_a_read_passes_over_a_page_that_nobody_can_read(world: LogWorld) -> None:
    key = world.batch.encode()
    bad = [await world.log.append_bytes(SACKS.name, key, b"no event") for _ in range(5)]
    good = await world.log.append(SACKS.name, make_sack(world.batch))
    (found,) = await world.log.read(SACKS.name, good.partition, bad[0].offset - 1, 2)
    assert found.offset == good.offset


async def test_there_is_nothing_to_read_where_nothing_is(world: LogWorld) -> None:
    place = await world.log.append(SACKS.name, make_sack(world.batch))
    end = await world.log.end(SACKS.name, place.partition)
    assert end > place.offset
    for partition, after in ((place.partition, end - 1), (place.partition, end + 100), (99, -1)):
        assert await world.log.read(SACKS.name, partition, after, 10) == ()
    assert await world.log.read(SACKS.name, -1, -1, 10) == ()


async def test_an_end_lies_above_all_that_was_appended(world: LogWorld) -> None:
    place = await world.log.append(SACKS.name, make_sack(world.batch))
    assert await world.log.end(SACKS.name, place.partition) == place.offset + 1
    assert await world.log.end(SACKS.name, 99) == 0
    assert await world.log.end(MILLING_LATER.name, 0) == 0


async def test_a_follower_sees_what_is_appended_after_the_call_once_each(world: LogWorld) -> None:
    await world.log.append(SACKS.name, make_sack(world.batch, 0))
    follower = await world.log.follow([SACKS.name, ORDERS.name])
    for number in range(1, 4):
        await world.log.append(SACKS.name, make_sack(world.batch, number))
    await world.log.append(FLOUR.name, ObjectsDeleted(world.batch, "ground", 1))
    await world.log.append(ORDERS.name, make_order(world.batch))
    found = [await asyncio.wait_for(anext(follower), 10) for _ in range(4)]
    sacks = [number_of(record) for record in found if record.topic == SACKS.name]
    assert sacks == ["1", "2", "3"]
    assert [record.event for record in found if record.topic == ORDERS.name] == [
        make_order(world.batch)
    ]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(follower), 0.2)


async def test_a_follower_passes_over_what_nobody_can_read(world: LogWorld) -> None:
    follower = await world.log.follow([SACKS.name])
    await world.log.append_bytes(SACKS.name, world.batch.encode(), b"no event")
    await world.log.append(SACKS.name, make_sack(world.batch))
    assert (await asyncio.wait_for(anext(follower), 10)).event == make_sack(world.batch)


async def test_a_follower_that_is_too_slow_is_ended_and_reads_on(world: LogWorld) -> None:
    follower = await world.log.follow([SACKS.name])
    ends = [await world.log.end(SACKS.name, partition) for partition in range(PARTITIONS)]
    count = world.behind_max * 3 // 2
    sacks = [Append(SACKS.name, make_sack(f"{world.batch}-{n}")) for n in range(count)]
    for first in range(0, count, 2_500):
        await world.log.append_many(sacks[first : first + 2_500])
    with pytest.raises(StoreBusy):
        await asyncio.wait_for(exhaust(follower), 30)
    there = [await world.all_of(SACKS.name, n, ends[n] - 1) for n in range(PARTITIONS)]
    assert sum(map(len, there)) == count


def number_of(record: Recorded[Any]) -> str:
    """The number of a sack."""
    number: str = record.event.upload_id
    return number


async def exhaust(follower: AsyncIterator[Any]) -> None:
    async for _ in follower:
        pass
