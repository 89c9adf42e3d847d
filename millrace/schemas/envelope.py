"""What travels beside an event, in record headers, and the form in which a step sees a record."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Headers = list[tuple[str, bytes]]
# An event, one of the parts that a fold explodes it into, or raw bytes where a topic is not ours.
E = TypeVar("E", covariant=True)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Record headers of every event.

    at_ms is logical: the time of the outside fact that started the chain, or of the timer, in
    milliseconds of the epoch. The record's own timestamp is append time and no part of this.
    """

    id: str
    at_ms: int
    # Id of the event that led to this one; empty for a fact from outside.
    cause: str = ""
    # Step, topic, partition and offset of the input and number of the output: `step topic p o n`.
    origin: str = ""
    traceparent: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Recorded(Generic[E]):
    """A record as steps see it: the event, its place on the log and its envelope."""

    event: E
    id: str
    at_ms: int
    key: bytes
    topic: str
    partition: int
    offset: int
    cause: str = ""


def to_headers(envelope: Envelope) -> Headers:
    """Kafka headers; empty ones are left out."""
    pairs = [("id", envelope.id), ("at", str(envelope.at_ms)), ("cause", envelope.cause)]
    pairs += [("origin", envelope.origin), ("traceparent", envelope.traceparent)]
    pairs.append(("tenant", envelope.tenant))
    return [(name, text.encode()) for name, text in pairs if text]


def from_headers(headers: Iterable[tuple[str, bytes]]) -> Envelope:
    """Raises ValueError where `id` or `at` is missing or is no number: a bad record."""
    found = {name: value.decode() for name, value in headers}
    if "id" not in found or "at" not in found:
        raise ValueError("record without the headers id and at")
    return Envelope(
        id=found["id"],
        at_ms=int(found["at"]),
        cause=found.get("cause", ""),
        origin=found.get("origin", ""),
        traceparent=found.get("traceparent", ""),
        tenant=found.get("tenant", ""),
    )
