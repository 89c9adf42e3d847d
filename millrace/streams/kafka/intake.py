"""What a Faust agent hands to a step: records in order, by partition, until they are done.

An agent's loop only puts down what it gets, so it never fails and never waits; the transport reads
no further where too much is not done. Nothing here may acknowledge what a step has not done.
"""

from collections.abc import Callable
from typing import Any

from faust.streams import Stream
from faust.types import TP, EventT

from millrace.schemas import codec
from millrace.schemas.topics import Topic
from millrace.streams.folding.records import Decode, Record
from millrace.streams.kafka.records import Partition, record_at


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
    """One agent's records; `took` gets each."""

    def __init__(
        self,
        topic: Topic,
        took: Callable[[Delivery], None],
        decode: Decode = codec.decode,
    ) -> None:
        self.topic = topic
        self._took = took
        self._decode = decode
        # What was handed over and is not done, held fast: Faust holds its messages weakly.
        self._undone: set[Delivery] = set()

    async def run(self, stream: Stream[Any]) -> None:
        """The agent's loop."""
        async for event in stream.noack().events():
            delivery = self._delivery(event)
            self._undone.add(delivery)
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
        self._undone.discard(delivery)

    def forget(self) -> None:
        """Partitions change: what is not done comes again, here or elsewhere."""
        self._undone.clear()

    @property
    def undone(self) -> int:
        """Records that were handed over and are not done."""
        return len(self._undone)
