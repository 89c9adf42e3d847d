"""Creates the topics of an installation on Kafka, and says where they are not as they should be.

A number of partitions is never changed: keys would move away from their states. Nothing is deleted
by age before there is an archive, since the log is the only truth.
"""

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
    TopicMetadata,
)

from millrace.schemas.topics import DEAD_LETTERS, TOPICS, Topic
from millrace.sinks.ports import StoreBusy
from millrace.streams.declarations import Topology
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.topologies import TOPOLOGIES

K = TypeVar("K")
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]
# What a broker answers, or a client, while something moves.
AWAY = (
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
)
ANSWER_S = 15.0
MESSAGE_BYTES_MAX = 2 << 20
# A dead letter holds the whole record that nobody could read, and says more about it.
LETTER_BYTES_MAX = MESSAGE_BYTES_MAX + (64 << 10)

ALWAYS = {
    # A record's timestamp is when the log took it, by the log's own clock.
    "message.timestamp.type": "LogAppendTime",
    "unclean.leader.election.enable": "false",
}
KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
COMPACTED = {
    "cleanup.policy": "compact",
    # Small segments, compacted soon: the open one never is, and a new owner reads all of it.
    "segment.bytes": str(16 << 20),
    "min.cleanable.dirty.ratio": "0.3",
    "min.compaction.lag.ms": "0",
    # Longer than any recovery: a reader that began before a key's end must still see the end.
    "delete.retention.ms": str(24 * 3_600_000),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic on the broker as it should be."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class TopicsRefused(Exception):
    """Topics are there that can't be made what they should be; nothing was changed."""

    def __init__(self, differences: list[str]) -> None:
        super().__init__("; ".join(differences))
        self.differences = differences


def wanted(
    cluster: Cluster,
    topics: Iterable[Topic] = TOPICS,
    topologies: Iterable[Topology] = TOPOLOGIES,
) -> list[Wanted]:
    """Every topic of the installation: the catalogue's, and a changelog for each state."""
    found = []
    for topic in topics:
        config = COMPACTED if topic.cleanup == "compact" else KEPT
        size = LETTER_BYTES_MAX if topic.name == DEAD_LETTERS.name else MESSAGE_BYTES_MAX
        found.append(as_wanted(cluster, cluster.topic(topic), config, size))
    for topology in topologies:
        if topology.folds:
            name = cluster.changelog(topology)
            found.append(as_wanted(cluster, name, COMPACTED, MESSAGE_BYTES_MAX))
    return found


def as_wanted(cluster: Cluster, name: str, config: Mapping[str, str], size: int) -> Wanted:
    sizes = {
        "max.message.bytes": str(size),
        # An acknowledged record is on two brokers, where there are two.
        "min.insync.replicas": str(min(2, cluster.replication)),
    }
    every = {**ALWAYS, **config, **sizes}
    return Wanted(name, cluster.partitions, cluster.replication, every)


def check(
    cluster: Cluster,
    topics: Iterable[Topic] = TOPICS,
    topologies: Iterable[Topology] = TOPOLOGIES,
) -> list[str]:
    """Each difference between what is there and what should be, in words. Raises StoreBusy."""
    return differences(client_of(cluster), wanted(cluster, topics, topologies))


def apply(
    cluster: Cluster,
    topics: Iterable[Topic] = TOPICS,
    topologies: Iterable[Topology] = TOPOLOGIES,
) -> list[str]:
    """Makes everything as it should be, and says what it did; a repeat does nothing.

    Raises TopicsRefused, before anything was changed; StoreBusy.
    """
    client, every = client_of(cluster), wanted(cluster, topics, topologies)
    there = described(client)
    lasting = [text for one in every for text in misshapen(one, there)]
    if lasting:
        raise TopicsRefused(lasting)
    missing = [one for one in every if one.name not in there]
    create(client, missing)
    changed = alter(client, [one for one in every if one.name in there])
    settle(client, every)
    return [f"{one.name}: created" for one in missing] + changed


def client_of(cluster: Cluster) -> AdminClient:
    return AdminClient(
        {"bootstrap.servers": cluster.bootstrap, "client.id": "millrace", "log_level": 2}
    )


def described(client: AdminClient) -> Mapping[str, TopicMetadata]:
    """All topics of the broker, by name. Raises StoreBusy."""
    try:
        found: Mapping[str, TopicMetadata] = client.list_topics(timeout=ANSWER_S).topics
    except KafkaException as problem:
        raise StoreBusy(f"Kafka does not answer: {problem.args[0].str()}") from problem
    return found


def misshapen(one: Wanted, there: Mapping[str, TopicMetadata]) -> list[str]:
    """What of a topic can't be changed any more, and is wrong."""
    found = there.get(one.name)
    if found is None:
        return []
    texts = []
    if len(found.partitions) != one.partitions:
        texts.append(f"{one.name}: {len(found.partitions)} partitions instead of {one.partitions}")
    counts = {len(partition.replicas) for partition in found.partitions.values()}
    if counts != {one.replication}:
        says = " and ".join(map(str, sorted(counts)))
        texts.append(f"{one.name}: {says} replicas instead of {one.replication}")
    return texts


def differences(client: AdminClient, every: Collection[Wanted]) -> list[str]:
    there = described(client)
    texts = [f"{one.name}: missing" for one in every if one.name not in there]
    texts += [text for one in every for text in misshapen(one, there)]
    for one, config in configs(client, [one for one in every if one.name in there]):
        for name, value in one.config.items():
            if config.get(name) != value:
                texts.append(f"{one.name}: {name} is {config.get(name)} instead of {value}")
    return texts


def configs(
    client: AdminClient, every: Collection[Wanted]
) -> list[tuple[Wanted, dict[str, str | None]]]:
    """Each topic with its configuration on the broker. Raises StoreBusy."""
    if not every:
        return []
    resources = {one.name: ConfigResource(ResourceType.TOPIC, one.name) for one in every}
    asked = client.describe_configs(list(resources.values()), request_timeout=ANSWER_S)
    said = answers(asked)
    found = []
    for one in every:
        entries = said[resources[one.name]]
        found.append((one, {name: entry.value for name, entry in entries.items()}))
    return found


def create(client: AdminClient, missing: Collection[Wanted]) -> None:
    """Creates topics; one that somebody else creates meanwhile is looked at by `settle`."""
    if not missing:
        return
    new = [
        NewTopic(one.name, one.partitions, one.replication, config=dict(one.config))
        for one in missing
    ]
    asked = client.create_topics(new, operation_timeout=ANSWER_S, request_timeout=ANSWER_S)
    answers(asked, KafkaError.TOPIC_ALREADY_EXISTS)


def alter(client: AdminClient, there: Collection[Wanted]) -> list[str]:
    """Sets what differs of the configurations; says what."""
    texts, resources = [], []
    for one, config in configs(client, there):
        wrong = {name: value for name, value in one.config.items() if config.get(name) != value}
        if not wrong:
            continue
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in wrong.items()
        ]
        resources.append(ConfigResource(ResourceType.TOPIC, one.name, incremental_configs=entries))
        texts += [f"{one.name}: {name} set to {value}" for name, value in wrong.items()]
    if resources:
        answers(client.incremental_alter_configs(resources, request_timeout=ANSWER_S))
    return texts


def settle(client: AdminClient, every: Collection[Wanted]) -> None:
    """Returns when all is as it should be and answers. Raises TopicsRefused, StoreBusy."""
    places = [(one.name, index) for one in every for index in range(one.partitions)]
    until_s = monotonic() + ANSWER_S
    while True:
        wrong = differences(client, every)
        try:
            if not wrong:
                ask_ends(client, places)
                return
        except StoreBusy:
            # Leaders learn that they are some time after the world does, and tell nobody.
            if monotonic() > until_s:
                raise
        if wrong and monotonic() > until_s:
            raise TopicsRefused(wrong)
        sleep(0.1)


def ask_ends(client: AdminClient, places: Collection[tuple[str, int]]) -> None:
    """Returns when the leader of each partition has answered. Raises StoreBusy."""
    asked = client.list_offsets(
        {TopicPartition(*place): LATEST for place in places}, request_timeout=ANSWER_S
    )
    answers(asked)


def answers(asked: Mapping[K, Future[Any]], *fine: int) -> dict[K, Any]:
    """What the broker said to each; None where it refused for a reason that is fine.

    Raises StoreBusy, and KafkaException where it refused. The client itself ends each request in
    time. It must not be let go of before: one that is destroyed with a request under way takes the
    process with it (segmentation fault, seen).
    """
    wait(asked.values())
    return {key: answer(future, *fine) for key, future in asked.items()}


def answer(future: Future[Any], *fine: int) -> Any:
    try:
        return future.result()
    except KafkaException as problem:
        error: KafkaError = problem.args[0]
        if error.code() in fine:
            return None
        if error.retriable() or error.code() in AWAY:
            raise StoreBusy(f"Kafka does not answer: {error.str()}") from problem
        raise
