"""Topics are made once, as declared, and told where they are not; how far groups are behind."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from millrace.schemas.topics import DEAD_LETTERS, JOURNALS, TOPICS, Topic
from millrace.sinks.ports import Append, StoreBusy
from millrace.streams.kafka import admin
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.lag import Lag, lag
from millrace.streams.topologies import TOPOLOGIES
from tests.stack.servers import SharedServer
from tests.streams.engine.mill import COUNTS, MILL_TOPICS, ORDERS, SACKS, TALLIES, make_sack
from tests.streams.log.worlds import PARTITIONS, log_on

SOME = (SACKS, COUNTS, ORDERS)


@pytest.fixture
def fresh(kafka: SharedServer) -> Cluster:
    """An installation that has no topic yet."""
    return Cluster(kafka.address, f"admin-{secrets.token_hex(4)}-", partitions=2)


def set_config(cluster: Cluster, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = admin.client_of(cluster)
    for future in client.incremental_alter_configs([resource]).values():
        future.result()


def test_every_topic_and_a_changelog_for_each_state_is_wanted() -> None:
    wanted = {one.name: one for one in admin.wanted(Cluster("nowhere:1", "x-", replication=3))}
    assert len(wanted) == len(TOPICS) + len([one for one in TOPOLOGIES if one.folds])
    assert {one.partitions for one in wanted.values()} == {4}
    assert {one.replication for one in wanted.values()} == {3}
    assert {one.config["min.insync.replicas"] for one in wanted.values()} == {"2"}
    assert wanted["x-catalog"].config["cleanup.policy"] == "compact"
    assert wanted["x-uploads-changelog"].config["cleanup.policy"] == "compact"
    kept = [one for one in wanted.values() if one.config["cleanup.policy"] == "delete"]
    # Nothing goes by age, journals and timers no sooner than what they tell of.
    assert {one.config["retention.ms"] for one in kept} == {"-1"}
    assert f"x-{JOURNALS.name}" in {one.name for one in kept}


def test_one_node_has_one_copy() -> None:
    configs = [one.config for one in admin.wanted(Cluster("nowhere:1"))]
    assert {config["min.insync.replicas"] for config in configs} == {"1"}


def test_a_dead_letter_has_room_for_the_largest_record() -> None:
    sizes = {
        one.name: int(one.config["max.message.bytes"]) for one in admin.wanted(Cluster("nowhere:1"))
    }
    assert sizes.pop(DEAD_LETTERS.name) > max(sizes.values())


@pytest.mark.slow
def test_topics_are_made_and_a_repeat_does_nothing(fresh: Cluster) -> None:
    missing = admin.check(fresh, SOME, (TALLIES,))
    names = [f"{fresh.prefix}{name}" for name in ("sacks", "counts", "orders", "tallies-changelog")]
    assert missing == [f"{name}: missing" for name in names]
    assert admin.apply(fresh, SOME, (TALLIES,)) == [f"{name}: created" for name in names]
    assert admin.check(fresh, SOME, (TALLIES,)) == []
    assert admin.apply(fresh, SOME, (TALLIES,)) == []


@pytest.mark.slow
def test_a_wrong_count_of_partitions_is_refused_and_nothing_is_changed(fresh: Cluster) -> None:
    admin.apply(fresh, (SACKS,), ())
    sacks = fresh.topic(SACKS)
    set_config(fresh, sacks, "retention.ms", "1000")
    wider = replace(fresh, partitions=3)
    with pytest.raises(admin.TopicsRefused, match="2 partitions instead of 3"):
        admin.apply(wider, (COUNTS, SACKS), ())
    told = admin.check(wider, (COUNTS, SACKS), ())
    assert told == [
        f"{fresh.topic(COUNTS)}: missing",
        f"{sacks}: 2 partitions instead of 3",
        f"{sacks}: retention.ms is 1000 instead of -1",
    ]


@pytest.mark.slow
def test_a_setting_that_was_changed_is_named_and_set_back(fresh: Cluster) -> None:
    admin.apply(fresh, SOME, ())
    sacks = fresh.topic(SACKS)
    set_config(fresh, sacks, "cleanup.policy", "compact")
    assert admin.check(fresh, SOME, ()) == [f"{sacks}: cleanup.policy is compact instead of delete"]
    assert admin.apply(fresh, SOME, ()) == [f"{sacks}: cleanup.policy set to delete"]
    assert admin.check(fresh, SOME, ()) == []


@pytest.mark.slow
def test_more_partitions_than_wanted_are_refused_too(fresh: Cluster) -> None:
    admin.apply(fresh, (SACKS,), ())
    client = admin.client_of(fresh)
    for future in client.create_partitions([NewPartitions(fresh.topic(SACKS), 4)]).values():
        future.result()
    with pytest.raises(admin.TopicsRefused, match="4 partitions instead of 2"):
        admin.apply(fresh, (SACKS,), ())


@pytest.mark.slow
def test_replicas_that_no_broker_can_hold_are_named(fresh: Cluster) -> None:
    admin.apply(fresh, (SACKS,), ())
    (replicas, in_sync) = admin.check(replace(fresh, replication=3), (SACKS,), ())
    assert replicas.endswith("1 replicas instead of 3")
    assert in_sync.endswith("min.insync.replicas is 1 instead of 2")


@pytest.mark.slow
async def test_two_who_make_the_topics_at_once_both_succeed(fresh: Cluster) -> None:
    both = (asyncio.to_thread(admin.apply, fresh, MILL_TOPICS, (TALLIES,)) for _ in range(2))
    await asyncio.gather(*both)
    assert await asyncio.to_thread(admin.check, fresh, MILL_TOPICS, (TALLIES,)) == []


@pytest.mark.slow
async def test_a_group_is_behind_by_what_it_has_not_committed(cluster: Cluster) -> None:
    group = secrets.token_hex(4)
    groups = {group: (SACKS, ORDERS)}
    async with log_on(cluster) as world:
        ends = [await world.log.end(SACKS.name, n) for n in range(PARTITIONS)]
        orders = [await world.log.end(ORDERS.name, n) for n in range(PARTITIONS)]
        never = await patiently(cluster, groups)
        assert never == [
            Lag(group, SACKS.name, sum(ends)),
            Lag(group, ORDERS.name, sum(orders)),
        ]
        await commit(cluster, group, {SACKS.name: ends, ORDERS.name: orders})
        sacks = [Append(SACKS.name, make_sack(f"{world.batch}-{number}")) for number in range(20)]
        await world.log.append_many(sacks)
        found = await lag(cluster, groups)
        assert found == [Lag(group, SACKS.name, 20), Lag(group, ORDERS.name, 0)]


async def patiently(cluster: Cluster, groups: Mapping[str, tuple[Topic, ...]]) -> list[Lag]:
    """A broker that was just started loads its groups when it is first asked for one."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await lag(cluster, groups)
            except StoreBusy:
                continue


async def commit(cluster: Cluster, group: str, ends: dict[str, list[int]]) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap, group_id=cluster.group(group), enable_auto_commit=False
    )
    await consumer.start()
    try:
        offsets = {
            TopicPartition(cluster.topic(topic), index): end
            for topic, several in ends.items()
            for index, end in enumerate(several)
        }
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()
