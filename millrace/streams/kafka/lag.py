"""How far consumer groups are behind, from what they committed and what is committed to the log.

For people and alerts alone: folds keep their positions in their changelogs, and nobody else's
decision may depend on group offsets, which expire.
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest

from millrace.schemas.topics import Topic
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.fetching import EARLIEST, LATEST, Fetching


class Lag(NamedTuple):
    """Records of a topic that a group has yet to take, markers of transactions included."""

    group: str
    topic: str
    records: int


async def lag(cluster: Cluster, groups: Mapping[str, Collection[Topic]]) -> list[Lag]:
    """The lag of each group (as named on the cluster, without prefix) and topic that it reads.

    A group that never committed is behind by the whole topic. Raises StoreBusy, also while a
    broker that was started loads its groups.
    """
    names = {cluster.topic(topic) for topics in groups.values() for topic in topics}
    places = [TopicPartition(name, n) for name in names for n in range(cluster.partitions)]
    fetching = Fetching(cluster.bootstrap, names)
    try:
        first = dict(zip(places, await fetching.offsets(places, EARLIEST), strict=True))
        end = dict(zip(places, await fetching.offsets(places, LATEST), strict=True))
        found = []
        for group, topics in groups.items():
            done = await fetching.asked(partial(committed, cluster.group(group)))
            for topic in topics:
                there = [one for one in places if one.topic == cluster.topic(topic)]
                behind = (end[one] - max(done.get(one, 0), first[one]) for one in there)
                found.append(Lag(group, topic.name, sum(max(0, one) for one in behind)))
        return found
    finally:
        await fetching.close()


async def committed(group: str, client: AIOKafkaClient) -> dict[TopicPartition, int]:
    """What a group has committed, nothing where it never did. Raises KafkaError.

    Not by an admin client: librdkafka's (2.16) ends the process with a segmentation fault where the
    coordinator refuses, and aiokafka's (0.14) takes the refusal for a group without offsets.
    """
    node = await client.coordinator_lookup(CoordinationType.GROUP, group)
    response = await client.send(node, OffsetFetchRequest(group, None))
    error = for_code(response.error_code)
    if error is not NoError:
        raise error(group)
    return {
        TopicPartition(topic, index): offset
        for topic, partitions in response.topics
        for index, offset, *_ in partitions
        if offset >= 0
    }
