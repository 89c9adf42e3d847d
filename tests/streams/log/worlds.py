"""What a test of the log's port is given, whichever engine is behind it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from millrace.schemas.envelope import Recorded
from millrace.sinks.ports import Appended, Log
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.log import KafkaLog
from tests.streams.engine.mill import MILL_TOPICS

PARTITIONS = 4


class RawLog(Log, Protocol):
    """A log, and the two calls of both engines that the gateway's port does not have."""

    async def append_bytes(self, topic: str, key: bytes, value: bytes) -> Appended: ...
    def partitions(self, topic: str) -> int: ...


class LogWorld:
    """A log that other tests of the same broker may have written to: names are made here."""

    def __init__(self, log: RawLog, behind_max: int) -> None:
        self.log = log
        # A follower that is further behind is ended.
        self.behind_max = behind_max
        self.batch = secrets.token_hex(8)

    async def all_of(self, topic: str, partition: int, after: int = -1) -> list[Recorded[Any]]:
        """Every record above an offset, page by page."""
        found: list[Recorded[Any]] = []
        while page := await self.log.read(topic, partition, after, 500):
            found += page
            after = page[-1].offset
        return found

    async def at(self, place: Appended) -> Recorded[Any]:
        """The record at a place that an append returned."""
        (found,) = await self.log.read(place.topic, place.partition, place.offset - 1, 1)
        return found


@asynccontextmanager
async def log_on(cluster: Cluster) -> AsyncIterator[LogWorld]:
    """A log as another gateway has it."""
    log = KafkaLog(cluster, MILL_TOPICS)
    try:
        yield LogWorld(log, 0)
    finally:
        await log.close()
