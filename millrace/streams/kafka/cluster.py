"""Where Kafka is, and what our topics, groups and transactions are called there.

Names on the broker carry the installation's prefix, so that several share one cluster. No other
module may put a name together.
"""

from dataclasses import dataclass

from millrace.schemas.topics import Topic
from millrace.streams.declarations import Topology


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka cluster, and one installation's names and counts on it.

    bootstrap is `host:port,host:port`. Every topic of ours has `partitions` partitions, each on
    `replication` brokers; session_timeout_ms is how long a silent worker keeps what it owns.
    """

    bootstrap: str
    prefix: str = ""
    partitions: int = 4
    replication: int = 1
    session_timeout_ms: int = 10_000

    def topic(self, topic: Topic | str) -> str:
        """The topic's name on the broker."""
        return self.prefix + (topic if isinstance(topic, str) else topic.name)

    def topic_of(self, name: str) -> str:
        """The catalogue's name of a topic of ours on the broker."""
        assert name.startswith(self.prefix)
        return name[len(self.prefix) :]

    def changelog(self, topology: Topology) -> str:
        """The compacted topic that holds states, parked keys and positions of a topology."""
        return f"{self.prefix}{topology.name}-changelog"

    def group(self, name: str) -> str:
        """A consumer group: of a topology's folds, of its projections, or of a lane."""
        return self.prefix + name

    def transactional_id(self, topology: Topology, partition: int) -> str:
        """One a topology and partition: a new owner fences the old one by it."""
        return f"{self.prefix}{topology.name}-{partition}"
