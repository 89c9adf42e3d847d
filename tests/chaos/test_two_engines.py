"""Two engines, one truth: what happened from outside comes to the same facts and the same rows."""

from typing import Any, cast

import pytest

from millrace.processors.media.probe import Limits
from millrace.schemas.topics import COMMANDS, TOPICS
from millrace.sinks.tables import TABLES
from millrace.streams.declarations import WorkPorts
from millrace.streams.embedded.driver import START_MS
from millrace.streams.points import nowhere
from millrace.streams.topologies import TOPOLOGIES
from tests.fakes import faked
from tests.simulation.__main__ import fault_free
from tests.simulation.compare import differences, facts
from tests.simulation.script import DAYS, HOUR_MS, Fact
from tests.sinks.cassandra_space import CassandraSpace
from tests.stack.servers import SharedServer
from tests.streams.kafka.world import KafkaWorld

pytestmark = pytest.mark.slow


def append(world: KafkaWorld, fact: Fact) -> None:
    """As the simulator appends it."""
    if isinstance(fact.event, bytes):
        world.pipe_raw(fact.topic, fact.key, fact.event, fact.at_ms)
        return
    asked = f"{fact.event.NAME} {fact.at_ms}" if fact.topic is COMMANDS else None
    world.pipe(fact.topic, fact.event, at_ms=fact.at_ms, event_id=asked)


@pytest.mark.timeout(300)
def test_kafka_and_cassandra_come_to_what_sqlite_came_to(
    kafka: SharedServer, cassandra_space: CassandraSpace
) -> None:
    tables = cassandra_space.tables()
    tables.create(TABLES)
    nothing = cast("Any", None)
    ports = WorkPorts(nothing, tables, nothing, "worker", cast("Limits", nothing), nowhere)
    world = KafkaWorld(
        kafka.address, faked(TOPOLOGIES), TOPICS, tables=tables, ports=lambda: ports, partitions=2
    )
    try:
        for facts_of_day, hours in DAYS:
            for fact in facts_of_day():
                append(world, fact)
            world.settle()
            elapsed_ms = world.clock.now_ms - START_MS
            world.advance(max(0, hours * HOUR_MS - elapsed_ms))
        assert not differences(fault_free(), facts(world, tables))
    finally:
        world.close()
