"""What is Kafka's own about its log: transactions of others, several gateways, sizes, silence."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer

from millrace.schemas import codec
from millrace.schemas.envelope import Envelope, to_headers
from millrace.schemas.partitioning import partition_of
from millrace.sinks.ports import Append, StoreBusy
from millrace.streams.kafka.appending import MESSAGE_BYTES_MAX
from millrace.streams.kafka.cluster import Cluster
from tests.streams.engine.mill import SACKS, make_sack
from tests.streams.log.worlds import PARTITIONS, log_on

pytestmark = [pytest.mark.slow]


@asynccontextmanager
async def transactions(cluster: Cluster) -> AsyncIterator[AIOKafkaProducer]:
    """A producer like a fold's."""
    id_ = f"{cluster.prefix}{secrets.token_hex(4)}"
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, transactional_id=id_)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def put(producer: AIOKafkaProducer, cluster: Cluster, batch: str, number: int) -> None:
    """Writes a sack within the transaction under way."""
    headers = to_headers(Envelope(f"{batch}-{number}", 5))
    key, value = batch.encode(), codec.encode(make_sack(batch, number))
    partition = partition_of(key, PARTITIONS)
    await producer.send_and_wait(cluster.topic(SACKS), value, key, partition, headers=headers)


async def test_what_a_transaction_wrote_is_seen_when_it_is_committed(cluster: Cluster) -> None:
    async with log_on(cluster) as world, transactions(cluster) as producer:
        where = SACKS.name, partition_of(world.batch.encode(), PARTITIONS)
        end = await world.log.end(*where)
        follower = await world.log.follow([SACKS.name])
        await producer.begin_transaction()
        await put(producer, cluster, world.batch, 1)
        assert await world.log.end(*where) == end
        assert await world.log.read(*where, end - 1, 10) == ()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(follower), 0.3)
        await producer.commit_transaction()
        assert (await asyncio.wait_for(anext(follower), 10)).event == make_sack(world.batch, 1)
        (found,) = await world.log.read(*where, end - 1, 10)
        assert found.event == make_sack(world.batch, 1)


async def test_what_was_aborted_is_never_seen_and_ends_no_page(cluster: Cluster) -> None:
    async with log_on(cluster) as world, transactions(cluster) as producer:
        where = SACKS.name, partition_of(world.batch.encode(), PARTITIONS)
        end = await world.log.end(*where)
        follower = await world.log.follow([SACKS.name])
        for number in range(3):
            await producer.begin_transaction()
            await put(producer, cluster, world.batch, number)
            await producer.abort_transaction()
        await world.log.append(SACKS.name, make_sack(world.batch, 3))
        (found,) = await world.log.read(*where, end - 1, 10)
        assert found.event == make_sack(world.batch, 3)
        assert (await asyncio.wait_for(anext(follower), 10)).event == make_sack(world.batch, 3)


async def test_a_record_can_be_read_at_its_place_while_a_transaction_hides_it(
    cluster: Cluster,
) -> None:
    async with log_on(cluster) as world, transactions(cluster) as producer:
        await producer.begin_transaction()
        await put(producer, cluster, world.batch, 1)
        place = await world.log.append(SACKS.name, make_sack(world.batch, 2))
        assert await world.log.end(SACKS.name, place.partition) < place.offset
        assert (await world.at(place)).event == make_sack(world.batch, 2)
        (found,) = await world.log.read(SACKS.name, place.partition, place.offset - 1, 10)
        assert found.id == place.id
        await producer.abort_transaction()


async def test_gateways_see_what_others_appended(cluster: Cluster) -> None:
    async with log_on(cluster) as world, log_on(cluster) as other:
        follower = await other.log.follow([SACKS.name])
        place = await world.log.append(SACKS.name, make_sack(world.batch))
        assert (await other.at(place)).id == place.id
        assert (await asyncio.wait_for(anext(follower), 10)).id == place.id


async def test_a_record_that_is_too_large_is_the_callers_fault(cluster: Cluster) -> None:
    async with log_on(cluster) as world:
        large = make_sack(world.batch, etag="x" * MESSAGE_BYTES_MAX)
        with pytest.raises(ValueError, match="too large"):
            await world.log.append(SACKS.name, large)
        near = make_sack(world.batch, etag="x" * (MESSAGE_BYTES_MAX - 1_000))
        place = await world.log.append(SACKS.name, near)
        assert (await world.at(place)).event == near


async def test_the_place_of_every_recent_append_is_no_growing_memory(cluster: Cluster) -> None:
    async with log_on(cluster) as world:
        sacks = [Append(SACKS.name, make_sack(world.batch, number)) for number in range(1_500)]
        places = await world.log.append_many(sacks)
        assert len(world.log._own) <= 1_024  # type: ignore[attr-defined]
        assert (await world.at(places[0])).event == make_sack(world.batch, 0)
        assert (await world.at(places[-1])).event == make_sack(world.batch, 1_499)


async def test_a_follower_of_a_log_that_closes_is_ended(cluster: Cluster) -> None:
    async with log_on(cluster) as world:
        follower = await world.log.follow([SACKS.name])
    with pytest.raises(StoreBusy, match="closed"):
        await asyncio.wait_for(anext(follower), 10)


async def test_appends_to_a_log_that_closes_are_answered(cluster: Cluster) -> None:
    async with log_on(cluster) as world:
        sacks = (make_sack(world.batch, number) for number in range(50))
        appends = [asyncio.create_task(world.log.append(SACKS.name, sack)) for sack in sacks]
        await asyncio.sleep(0)
    assert len({(await append).offset for append in appends}) == 50
