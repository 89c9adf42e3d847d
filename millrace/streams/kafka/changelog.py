"""A topology's changelog: states, parked keys and positions of each partition, compacted by key.

All records of one batch are in one transaction with its outputs, so whoever reads the topic back,
committed records alone, has what was true after a whole batch. Keys and values are permanent: an
older build's states must stay readable. States without positions are a lie that must stop the task.
"""

import struct
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

# Keys: what it is, then the step, then the key of the fold.
STATE, PARKED, POSITIONS = b"s", b"p", b"positions"
SEPARATOR = b"\0"
# A state's value: when it is due in ms, NEVER where it has no deadline; then the fold's own bytes.
DUE = struct.Struct(">q")
NEVER = -1
NUMBER = struct.Struct(">Q")
READ_BYTES_MAX = 8 << 20
PROGRESS_EVERY = 10_000

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode
# Topic, partition and offset of a record, and the number of the part it was exploded into.
Parked = tuple[str, int, int, int]


class LostPositions(AssertionError):
    """There are states, but nothing says up to where the inputs were folded: nothing may go on."""


@dataclass(slots=True)
class Restored:
    """What a changelog's partition says. Offsets in `positions` are the next to fold, by topic."""

    states: defaultdict[bytes, dict[bytes, bytes]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    parked: defaultdict[bytes, dict[tuple[bytes, int], Parked]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    positions: dict[str, int] = field(default_factory=dict)
    records: int = 0

    def take(self, key: bytes, value: bytes | None) -> None:
        """One record, in the order of the log."""
        self.records += 1
        if key == POSITIONS:
            self.positions = decode(value or b"\x80")
            return
        kind, step, rest = key.split(SEPARATOR, 2)
        if kind == STATE:
            if value is None:
                self.states[step].pop(rest, None)
            else:
                self.states[step][rest] = value
            return
        where = rest[NUMBER.size :], NUMBER.unpack_from(rest)[0]
        if value is None:
            self.parked[step].pop(where, None)
        else:
            self.parked[step][where] = tuple(decode(value))

    def check(self) -> None:
        """Raises LostPositions."""
        if not self.positions and (any(self.states.values()) or any(self.parked.values())):
            raise LostPositions("a changelog with states and without positions")


def state_key(step: str, key: bytes) -> bytes:
    return SEPARATOR.join((STATE, step.encode(), key))


def state_value(value: bytes, due_ms: int | None) -> bytes:
    return DUE.pack(NEVER if due_ms is None else due_ms) + value


def due_of(value: bytes) -> int | None:
    """The deadline in a state's value."""
    due_ms: int = DUE.unpack_from(value)[0]
    return None if due_ms == NEVER else due_ms


def parked_key(step: str, key: bytes, number: int) -> bytes:
    return SEPARATOR.join((PARKED, step.encode(), NUMBER.pack(number) + key))


def positions_value(positions: Mapping[str, int]) -> bytes:
    return encode(positions)


async def restore(
    consumer: AIOKafkaConsumer, place: TopicPartition, told: Callable[[int, int], None]
) -> Restored:
    """Reads the partition up to its last committed record; `told` hears how far, of how many.

    Call it only after InitProducerId of the task's transactional id: an earlier reader can miss an
    acknowledged transaction. The consumer reads committed records and has no group. Raises
    LostPositions, KafkaError.
    """
    consumer.assign([place])
    await consumer.seek_to_beginning(place)
    first = await consumer.position(place)
    end = (await consumer.end_offsets([place]))[place]
    found, said = Restored(), 0
    while (at := await consumer.position(place)) < end:
        batches: Mapping[Any, Any] = await consumer.getmany(place, timeout_ms=500)
        for message in batches.get(place, ()):
            found.take(message.key, message.value)
        if at - first >= said + PROGRESS_EVERY:
            said = at - first
            told(said, end - first)
    told(end - first, end - first)
    found.check()
    return found
