"""Appends records to partitions of Kafka, from one event loop, acknowledged by all replicas.

The producer is librdkafka's, idempotent: it has threads of its own, finds its way back to a broker
that was away by itself, and never writes a record twice. Its reports are fetched by the loop, so no
second Python thread competes with it. A record that is not acknowledged in time is given up: it may
stand on the log all the same, or come to stand there within seconds, but never later.
"""

import asyncio
import logging
from collections import deque
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from millrace.schemas.envelope import Headers
from millrace.sinks.ports import StoreBusy

logger = logging.getLogger(__name__)

# How long a caller waits for Kafka before it is told that the log is busy.
BUSY_S = 3.0
# The producer gives a record up a little earlier, so that it seldom comes after the refusal.
GIVE_UP_MS = 2_500
# Reports are fetched so often while any are awaited. uvloop's timers count in milliseconds.
TICK_S = 0.001
# Without records on the way: the producer's log lines alone.
IDLE_S = 1.0
RECORDS_MAX = 100_000
BYTES_MAX = 64 << 20
# As `max.message.bytes` of our topics, see admin.py.
MESSAGE_BYTES_MAX = 2 << 20


def settings(bootstrap: str, linger_ms: float) -> dict[str, Any]:
    """The producer's configuration; what is not here is librdkafka's default."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": "millrace",
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": linger_ms,
        "compression.type": "lz4",
        "message.timeout.ms": GIVE_UP_MS,
        "request.timeout.ms": 2_000,
        "socket.timeout.ms": 2_500,
        "socket.connection.setup.timeout.ms": 2_000,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 500,
        "retry.backoff.ms": 50,
        "retry.backoff.max.ms": 500,
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "queue.buffering.max.messages": RECORDS_MAX,
        "queue.buffering.max.kbytes": BYTES_MAX >> 10,
        "topic.metadata.refresh.sparse": False,
        # It says each attempt to connect; `error_cb` says once that all brokers are away.
        "log_level": 2,
    }


class Appending:
    """One idempotent producer. Calls are of the event loop that made it."""

    def __init__(self, bootstrap: str, linger_ms: float) -> None:
        self._settings = settings(bootstrap, linger_ms) | {"error_cb": self._fault}
        self._loop = asyncio.get_running_loop()
        self._producer = Producer(self._settings)
        # When each is given up, and the caller's future, the oldest first.
        self._awaited: deque[tuple[float, asyncio.Future[int]]] = deque()
        self._broken: KafkaError | None = None
        self._away = False
        self._timer = self._loop.call_later(IDLE_S, self._tick)
        self._idle = True

    def append(
        self, topic: str, partition: int, key: bytes, value: bytes, headers: Headers
    ) -> asyncio.Future[int]:
        """The offset, once the record is durable.

        Records of one partition stand in the order of the calls. The future fails with StoreBusy
        after BUSY_S at the latest, and where too many records are on the way; with ValueError for a
        record that is too large.
        """
        future: asyncio.Future[int] = self._loop.create_future()
        report = partial(self._report, future)
        try:
            self._producer.produce(
                topic, value, key, partition, on_delivery=report, headers=dict(headers)
            )
        except BufferError as full:
            return failed(future, StoreBusy("too many records wait for Kafka"), full)
        except KafkaException as refused:
            error: KafkaError = refused.args[0]
            if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
                return failed(future, StoreBusy(error.str()), refused)
            return failed(future, ValueError(f"{len(value)} bytes are too large"), refused)
        self._awaited.append((self._loop.time() + BUSY_S, future))
        if self._idle:
            self._idle = False
            self._timer.cancel()
            self._timer = self._loop.call_later(TICK_S, self._tick)
        return future

    def _fault(self, error: KafkaError) -> None:
        """librdkafka's word on the connection, from within `poll`."""
        if error.fatal():
            self._broken = error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN and not self._away:
            logger.warning("Kafka is away: %s", error.str())
            self._away = True

    def _report(self, future: asyncio.Future[int], error: KafkaError | None, said: Message) -> None:
        """librdkafka's word on one record, from within `poll`."""
        if error is not None and error.fatal():
            self._broken = error
        if future.done():
            return
        offset = said.offset()
        if error is not None:
            future.set_exception(StoreBusy(f"Kafka took no record: {error.str()}"))
        elif offset is None or offset < 0:
            # A repeat that the broker knew, but no longer the place of.
            future.set_exception(StoreBusy("Kafka did not say where the record stands"))
        else:
            future.set_result(offset)
            self._away = False

    def _tick(self) -> None:
        self._producer.poll(0)
        self._give_up(self._loop.time())
        if self._broken is not None:
            self._replace(self._broken)
        self._idle = not self._awaited and not len(self._producer)
        self._timer = self._loop.call_later(IDLE_S if self._idle else TICK_S, self._tick)

    def _give_up(self, until_s: float) -> None:
        awaited = self._awaited
        while awaited and (awaited[0][1].done() or awaited[0][0] <= until_s):
            _, future = awaited.popleft()
            if not future.done():
                future.set_exception(StoreBusy(f"Kafka did not answer within {BUSY_S} s"))

    def _replace(self, error: KafkaError) -> None:
        """A producer that met a fatal error takes no record any more; another one does."""
        logger.error("the producer met a fatal error and is replaced: %s", error.str())
        broken, self._producer, self._broken = self._producer, Producer(self._settings), None
        broken.purge()
        broken.poll(0)
        self._give_up(float("inf"))

    async def close(self) -> None:
        """Returns when every record is acknowledged or given up."""
        while self._awaited:
            await asyncio.wait([self._awaited[-1][1]])
            self._give_up(self._loop.time())
        self._timer.cancel()
        self._producer.purge()
        await asyncio.to_thread(self._producer.close)


def failed(
    future: asyncio.Future[int], problem: Exception, cause: Exception
) -> asyncio.Future[int]:
    """The future, with the problem in it."""
    problem.__cause__ = cause
    future.set_exception(problem)
    return future
