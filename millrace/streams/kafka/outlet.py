"""What works and projections say: appended by an idempotent producer, acknowledged before anything
that follows from it.

Kafka being away is waited for, whatever it takes: nothing is acknowledged meanwhile, and what was
said twice bears the same id. A record must never be given up while its worker lives.
"""

import asyncio
import time
from collections.abc import Mapping

from millrace.schemas.topics import Topic
from millrace.sinks.ports import StoreBusy
from millrace.streams.kafka.appending import Appending
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.transaction import KafkaTransaction, Outgoing
from millrace.streams.metrics import Metrics

LINGER_MS = 1.0
# Between attempts to append what Kafka did not take; each takes seconds by itself.
BACKOFF_S = 0.25


class Outlet:
    """One producer of a worker process; calls are of one event loop."""

    def __init__(self, cluster: Cluster, topics: Mapping[str, Topic], metrics: Metrics) -> None:
        self._cluster = cluster
        self._topics = topics
        self._metrics = metrics
        self._appending: Appending | None = None

    def begin(self) -> KafkaTransaction:
        """Gathers what is to be said; nothing of it is said before `say`."""
        return KafkaTransaction(self._cluster, self._topics, time.time_ns() // 1_000_000)

    async def say(self, tx: KafkaTransaction) -> None:
        """Returns when all of it is durable, however long that takes."""
        if self._appending is None:
            self._appending = Appending(self._cluster.bootstrap, LINGER_MS)
        await asyncio.gather(
            *(
                self._append(self._appending, place, outgoing)
                for place, several in tx.outgoing.items()
                for outgoing in several
            )
        )

    async def _append(
        self, appending: Appending, place: tuple[str, int], outgoing: Outgoing
    ) -> None:
        key, value, headers = outgoing
        while True:
            try:
                await appending.append(*place, key, value or b"", headers)
            except StoreBusy:
                self._metrics.add("millrace_busy_total")
                await asyncio.sleep(BACKOFF_S)
            else:
                self._metrics.add("millrace_appended_total")
                return

    async def close(self) -> None:
        """What is not acknowledged by now is said again by whoever takes its cause."""
        if self._appending is not None:
            await self._appending.close()
