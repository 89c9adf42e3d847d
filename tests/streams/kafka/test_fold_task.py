"""What only a broker can do to a task of folds."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.stack.servers import SharedServer
from tests.streams.engine.mill import COUNTS, MILL_TOPICS, SACKS, TALLIES, Count, make_sack
from tests.streams.kafka.driver import KafkaDriver

pytestmark = pytest.mark.slow
ENDED = 'millrace_fold_lives_ended_total{partition="0",topology="tallies"}'


@pytest.fixture
def driver(kafka: SharedServer) -> Iterator[KafkaDriver]:
    one = KafkaDriver(kafka.address, (TALLIES,), MILL_TOPICS)
    yield one
    one.close()


def limit(driver: KafkaDriver, size_bytes: int) -> None:
    """How large a batch the topic of counts takes."""
    admin = AdminClient({"bootstrap.servers": driver.cluster.bootstrap})
    change = ConfigEntry(
        "max.message.bytes", str(size_bytes), incremental_operation=AlterConfigOpType.SET
    )
    name = driver.cluster.topic(COUNTS)
    wanted = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[change])
    for changed in admin.incremental_alter_configs([wanted]).values():
        changed.result()


async def test_a_batch_that_the_broker_refuses_is_not_left_out_of_its_transaction(
    driver: KafkaDriver,
) -> None:
    await asyncio.to_thread(limit, driver, 10)
    await asyncio.to_thread(driver.pipe, SACKS, make_sack())
    until_s = time.monotonic() + 30
    while not driver.metrics.snapshot().get(ENDED):
        assert time.monotonic() < until_s, "no life of the task ended"
        await asyncio.sleep(0.05)
    await asyncio.to_thread(limit, driver, 1 << 20)
    await asyncio.to_thread(driver.settle)
    assert [one.counted for one in await asyncio.to_thread(driver.events, COUNTS)] == [1]
    assert isinstance(driver.state("tallies", "counter", b"rye"), Count)
