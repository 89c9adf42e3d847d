"""What a step sees of a record, and what the engine keeps beside it, whichever engine it is.

A record's event is handed on as the object that was encoded, so that a chain of steps in one
process decodes nothing twice.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Protocol

from millrace.schemas import ids
from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.schemas.envelope import Envelope, Recorded
from millrace.schemas.topics import Topic

Decode = Callable[[bytes], Any]


# What a record carries beside key and value, in the order in which it takes it.
Carried = tuple[str | None, int | None, str, str, str, str]


def carried(envelope: Envelope | None) -> Carried:
    """An envelope as a record takes it; nothing at all where there is none."""
    if envelope is None:
        return None, None, "", "", "", ""
    return (
        envelope.id,
        envelope.at_ms,
        envelope.cause,
        envelope.origin,
        envelope.traceparent,
        envelope.tenant,
    )


class Place(Protocol):
    """A partition of a topic, as a record knows it."""

    @property
    def topic(self) -> Topic: ...
    @property
    def index(self) -> int: ...
    @property
    def decode(self) -> Decode: ...


class Record:
    """A record as an engine keeps it. `recorded` decodes the value once, on first use."""

    __slots__ = (
        "append_ms",
        "at_ms",
        "cause",
        "id",
        "key",
        "offset",
        "origin",
        "partition",
        "seen",
        "tenant",
        "traceparent",
        "value",
    )

    def __init__(
        self,
        partition: Place,
        offset: int,
        append_ms: int,
        key: bytes,
        value: bytes,
        id_: str | None,
        at_ms: int | None,
        cause: str,
        origin: str,
        traceparent: str,
        tenant: str,
    ) -> None:
        self.partition = partition
        self.offset = offset
        self.append_ms = append_ms
        self.key = key
        self.value = value
        self.id = id_
        self.at_ms = at_ms
        self.cause = cause
        self.origin = origin
        self.traceparent = traceparent
        self.tenant = tenant
        self.seen: Recorded[Any] | None = None

    @property
    def place(self) -> Hashable:
        """Where it is, as the engine packs it; unique on the log."""
        return self.partition.topic.name, self.partition.index, self.offset

    @property
    def recorded(self) -> Recorded[Any]:
        """What steps see; event is None for a tombstone. Raises BadRecord, UnknownFingerprint."""
        if self.seen is None:
            self.seen = self._decoded()
        return self.seen

    @property
    def is_readable(self) -> bool:
        """Whether this build can decode the value."""
        try:
            return self.recorded is not None
        except (BadRecord, UnknownFingerprint):
            return False

    def _decoded(self) -> Recorded[Any]:
        partition, name = self.partition, self.partition.topic.name
        id_, at_ms = self.id, self.at_ms
        event: Any = None
        if not partition.topic.events:
            # Not ours: the bytes are the event, and what the envelope lacks follows from the place.
            event, at_ms = self.value, self.append_ms if at_ms is None else at_ms
            id_ = id_ or ids.derive("foreign", name, str(partition.index), str(self.offset))
        elif self.value:
            event = partition.decode(self.value)
        if id_ is None or at_ms is None:
            raise BadRecord("record without the headers id and at")
        return Recorded(event, id_, at_ms, self.key, name, partition.index, self.offset, self.cause)


def readable(records: Iterable[Record]) -> list[Recorded[Any]]:
    """The records that are events or tombstones; the others are in the dead letters, or wait."""
    found = []
    for record in records:
        try:
            found.append(record.recorded)
        except (BadRecord, UnknownFingerprint):
            continue
    return found
