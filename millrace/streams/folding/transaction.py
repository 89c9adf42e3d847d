"""A transaction as folds and works see it: what they append, and who has changes in it.

Memory follows the commit: whoever holds changes takes part, keeps them when they are durable and
drops them when the transaction failed. How it is made durable is the engine's.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, Protocol, TypeVar

from millrace.schemas import ids
from millrace.schemas.envelope import Envelope, Recorded
from millrace.schemas.topics import Topic
from millrace.streams.folding.records import Place, Record

# Topic, event and its encoding.
Output = tuple[Topic, Any, bytes]
# What a step saw, and the record that it stood in.
Cause = tuple[Recorded[Any], Record]


class Participant(Protocol):
    """Holds changes of a transaction; compared and hashed by identity."""

    def commit(self) -> None:
        """The changes are durable."""
        ...

    def rollback(self) -> None:
        """The changes never were."""
        ...


P = TypeVar("P", bound=Participant)


class FoldTransaction(ABC):
    """Changes under way. `now_ms` is the append time of all its records."""

    now_ms: int

    @abstractmethod
    def join(self, participant: Any) -> None:
        """The participant has changes; it is told how the transaction ends."""

    @abstractmethod
    def partition_for(self, topic: str, key: bytes, event: Any = None) -> Place:
        """The partition on which a record lies: its topic may ask the event, else its key says."""

    @abstractmethod
    def find(self, place: Hashable) -> Record | None:
        """The record at a place, None where it was compacted away."""

    @abstractmethod
    def put(
        self,
        partition: Any,
        key: bytes,
        value: bytes,
        event: Any,
        envelope: Envelope | None,
    ) -> Any:
        """Appends a record. `event` is what the value encodes, None where that is to be decoded.

        Without an envelope it is a record that nobody can read, as another producer may write.
        """

    def emit(
        self, step: str, number: int, output: Output, cause: Cause, at_ms: int | None = None
    ) -> None:
        """Appends the n-th output of a step; it inherits trace and tenant of its cause.

        A fold's output inherits the time too. What a work says is a fact from outside, of its own
        time, which is given: delays counted from a failure would be over before they began else.
        """
        topic, event, value = output
        recorded, record = cause
        key = topic.key(event)
        origin = f"{step} {recorded.topic} {recorded.partition} {recorded.offset} {number}"
        envelope = Envelope(
            id=ids.caused(step, recorded.id, number),
            at_ms=recorded.at_ms if at_ms is None else at_ms,
            cause=recorded.id,
            origin=origin,
            traceparent=record.traceparent,
            tenant=record.tenant,
        )
        self.put(self.partition_for(topic.name, key, event), key, value, event, envelope)
