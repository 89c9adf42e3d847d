"""Messages of Kafka and the records that steps see, one made from the other.

Other producers write to our topics too (the object store): whatever a message lacks or garbles is
left open here, and said as a bad record by whoever decodes it. Nothing here may raise.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from millrace.schemas import codec
from millrace.schemas.topics import Topic
from millrace.streams.folding.records import Decode, Record

# Sign and digits of a 64-bit number; Python refuses to read numbers of thousands of digits.
DIGITS_MAX = 20


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of a topic of ours; `decode` reads its values."""

    topic: Topic
    index: int
    decode: Decode = codec.decode


class Message(Protocol):
    """What aiokafka's consumer gives. `timestamp` is append time, milliseconds of the epoch."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]: ...


def record_of(partition: Partition, message: Message) -> Record:
    """The record that a message is. `recorded` of it says whether it can be read."""
    offset, append_ms = message.offset, message.timestamp
    return record_at(partition, offset, append_ms, message.key, message.value, message.headers)


def record_at(
    partition: Partition,
    offset: int,
    append_ms: int,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]],
) -> Record:
    """The record at an offset. No value is a tombstone; no key is the empty one."""
    found = {name: text_of(data) for name, data in headers}
    return Record(
        partition,
        offset,
        append_ms,
        key or b"",
        value or b"",
        found.get("id") or None,
        number_of(found.get("at", "")),
        found.get("cause", ""),
        found.get("origin", ""),
        found.get("traceparent", ""),
        found.get("tenant", ""),
    )


def text_of(data: bytes | None) -> str:
    """The text of a header; empty where it is none."""
    try:
        return (data or b"").decode()
    except UnicodeDecodeError:
        return ""


def number_of(text: str) -> int | None:
    """The number of a header, None where it is none."""
    is_number = text.isascii() and text.removeprefix("-").isdigit()
    return int(text) if is_number and len(text) <= DIGITS_MAX else None
