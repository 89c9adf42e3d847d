"""`make(*topologies, **options)`: an engine of each kind, ended with the test."""

from collections.abc import Iterator
from typing import Any

import pytest

from millrace.streams.declarations import Topology
from tests.streams.engine.engines import Engine, Make, embedded
from tests.streams.engine.mill import MILL_TOPICS


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.slow)])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    if request.param == "embedded":
        yield embedded
        return
    from tests.streams.kafka.driver import KafkaDriver

    kafka = request.getfixturevalue("kafka")
    made: list[KafkaDriver] = []

    def over_kafka(*topologies: Topology, **options: Any) -> Engine:
        return KafkaDriver(kafka.address, topologies, MILL_TOPICS, made=made, **options)

    try:
        yield over_kafka
    finally:
        for driver in made:
            driver.close()
