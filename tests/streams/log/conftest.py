"""`world`: a log of each engine, with the topics of the mill in PARTITIONS partitions."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from millrace.sinks.sqlite_tables import SqliteTables
from millrace.streams.embedded import log as embedded_log
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.engine import Engine
from millrace.streams.embedded.log import EmbeddedLog
from millrace.streams.kafka import following
from millrace.streams.kafka.admin import apply
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.log import KafkaLog
from tests.stack.fixtures import PrivateServers, Source, private_servers_of
from tests.stack.servers import SharedServer
from tests.streams.engine.mill import MILL_TOPICS
from tests.streams.log.worlds import PARTITIONS, LogWorld, RawLog
from tests.streams.working.hands import bare_ports


@contextmanager
def embedded(data_dir: Path) -> Iterator[EmbeddedLog]:
    """The embedded engine without a topology: nothing but its log."""
    crashes: list[BaseException] = []
    tables = SqliteTables(None, lambda: 0)
    engine = Engine(
        data_dir,
        (),
        tables=tables,
        ports=bare_ports,
        workers=0,
        crashed=crashes.append,
        options=Options(topics=MILL_TOPICS, partitions=PARTITIONS),
    )
    engine.start()
    try:
        yield engine.log
    finally:
        engine.close()
        tables.close()
    assert crashes == []


@pytest.fixture(scope="session")
def cluster(kafka: SharedServer) -> Cluster:
    """The mill's topics on the broker of this run, under a name of their own."""
    made = Cluster(kafka.address, prefix=f"log-{secrets.token_hex(4)}-", partitions=PARTITIONS)
    apply(made, MILL_TOPICS, ())
    return made


@pytest_asyncio.fixture(
    params=["embedded", pytest.param("kafka", marks=pytest.mark.slow)],
    scope="module",
    loop_scope="module",
)
async def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[RawLog, int]]:
    """A log, and how far behind a follower of it may be."""
    if request.param == "embedded":
        with embedded(tmp_path_factory.mktemp("log")) as log:
            yield log, embedded_log.FOLLOWER_RECORDS_MAX
        return
    kafka = KafkaLog(request.getfixturevalue("cluster"), MILL_TOPICS)
    try:
        yield kafka, following.FOLLOWER_RECORDS_MAX
    finally:
        await kafka.close()


@pytest.fixture
def world(opened: tuple[RawLog, int]) -> LogWorld:
    return LogWorld(*opened)


@pytest.fixture(scope="module")
def private_servers_of_module(server_source: Source) -> Iterator[PrivateServers]:
    with private_servers_of(server_source) as make:
        yield make
