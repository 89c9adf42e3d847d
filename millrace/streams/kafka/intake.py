"""What a Faust agent hands to a step: records in order, by partition, until they are done.

An agent's loop only puts down what it gets, so it never fails and never waits; a partition with too
much undone is not read further, which is how a busy store or a long backlog is felt. Nothing here
may acknowledge what a step has not done.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from faust.streams import Stream
from faust.types import TP, EventT

from millrace.schemas import codec
from millrace.schemas.topics import Topic
from millrace.streams.folding.records import Decode, Record
from millrace.streams.kafka.records import Partition, record_at


class Pausing(Protocol):
    """The consumer, as far as it reads or does not."""

    def pause_partitions(self, tps: Iterable[TP]) -> None: ...
    def resume_partitions(self, tps: Iterable[TP]) -> None: ...


class Delivery:
    """A record that was handed over. Each of its takers says `done` once; the last acknowledges."""

    __slots__ = ("_event", "_intake", "record", "takers", "tp")

    def __init__(self, event: EventT[Any], record: Record, intake: "Intake") -> None:
        self._event = event
        self._intake = intake
        self.record = record
        self.takers = 1
        self.tp = TP(event.message.topic, event.message.partition)

    def done(self) -> None:
        self.takers -= 1
        if not self.takers:
            self._event.ack()
            self._intake.closed(self)


class Intake:
    """One agent's records. `took` gets each; at most `open_max` of a partition are undone."""

    def __init__(
        self,
        topic: Topic,
        open_max: int,
        took: Callable[[Delivery], None],
        decode: Decode = codec.decode,
    ) -> None:
        self.topic = topic
        self._decode = decode
        self._open_max = open_max
        self._took = took
        self._consumer: Pausing | None = None
        self._open: defaultdict[TP, set[Delivery]] = defaultdict(set)
        self._paused: set[TP] = set()

    async def run(self, stream: Stream[Any], consumer: Pausing) -> None:
        """The agent's loop."""
        self._consumer = consumer
        async for event in stream.noack().events():
            delivery = self._delivery(event)
            undone = self._open[delivery.tp]
            undone.add(delivery)
            if len(undone) >= self._open_max and delivery.tp not in self._paused:
                self._paused.add(delivery.tp)
                consumer.pause_partitions([delivery.tp])
            self._took(delivery)

    def _delivery(self, event: EventT[Any]) -> Delivery:
        message = event.message
        headers: Any = message.headers or ()
        record = record_at(
            Partition(self.topic, message.partition, self._decode),
            message.offset,
            round(message.timestamp * 1000),
            message.key,
            message.value,
            headers.items() if isinstance(headers, dict) else headers,
        )
        return Delivery(event, record, self)

    def closed(self, delivery: Delivery) -> None:
        undone = self._open[delivery.tp]
        undone.discard(delivery)
        if delivery.tp in self._paused and len(undone) <= self._open_max // 2:
            self._paused.discard(delivery.tp)
            if self._consumer is not None:
                self._consumer.resume_partitions([delivery.tp])

    def forget(self) -> None:
        """All partitions change: what is not done comes again, here or elsewhere."""
        self._open.clear()
        self._paused.clear()

    @property
    def undone(self) -> int:
        """Records that were handed over and are not done."""
        return sum(map(len, self._open.values()))
