"""How far consumer groups are behind, from what they committed and what is committed to the log.

For people and alerts alone: folds keep their positions in their changelogs, and nobody else's
decision may depend on group offsets, which expire.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from millrace.schemas.topics import Topic
from millrace.streams.kafka.admin import (
    ANSWER_S,
    EARLIEST,
    LATEST,
    Place,
    answer,
    client_of,
    offsets,
)
from millrace.streams.kafka.cluster import Cluster


class Lag(NamedTuple):
    """Records of a topic that a group has yet to take, markers of transactions included."""

    group: str
    topic: str
    records: int


def lag(cluster: Cluster, groups: Mapping[str, Collection[Topic]]) -> list[Lag]:
    """The lag of each group (as named on the cluster, without prefix) and topic that it reads.

    A group that never committed is behind by the whole topic. Raises StoreBusy.
    """
    client = client_of(cluster)
    names = {cluster.topic(topic) for topics in groups.values() for topic in topics}
    every = [(name, index) for name in sorted(names) for index in range(cluster.partitions)]
    first = offsets(client, every, EARLIEST)
    end = offsets(client, every, LATEST)
    found = []
    for group, topics in groups.items():
        done = committed(client, cluster.group(group))
        for topic in topics:
            name = cluster.topic(topic)
            places = [(name, index) for index in range(cluster.partitions)]
            behind = (end[one] - max(done.get(one, 0), first[one]) for one in places)
            found.append(Lag(group, topic.name, sum(max(0, one) for one in behind)))
    return found


def committed(client: AdminClient, group: str) -> dict[Place, int]:
    """What a group has committed, nothing where it never did. Raises StoreBusy."""
    asked = client.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)], request_timeout=ANSWER_S
    )
    (said,) = asked.values()
    found: dict[Place, int] = {}
    for one in answer(said).topic_partitions:
        if one.offset >= 0:
            found[one.topic, one.partition] = one.offset
    return found
