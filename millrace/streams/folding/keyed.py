"""One fold in one partition: the states of its keys and the transition that a record makes.

A transition is all or nothing: state, outputs, deadline and what it waits for come from one call of
a pure function, and a function that raises changes nothing but parks its key. This module must
never read a clock.
"""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from millrace.processors.emit import Deadline, Emit, Waiting
from millrace.schemas import codec
from millrace.schemas.envelope import Recorded
from millrace.schemas.topics import TIMERS
from millrace.streams.declarations import Fold
from millrace.streams.folding import waiting
from millrace.streams.folding.letters import append_letter
from millrace.streams.folding.parking import Parking
from millrace.streams.folding.records import Record
from millrace.streams.folding.timers import Timers
from millrace.streams.folding.transaction import FoldTransaction, Output
from millrace.streams.metrics import Metrics

# A state is read and written whole; design: joins keep bitsets and running figures, no lists.
STATE_BYTES_MAX = 64 * 1024
# An event is one record of the log; Kafka takes 2 MiB with its headers (admin.py).
EVENT_BYTES_MAX = 1 << 20
# States of one fold and partition that stay decoded in memory.
HELD_MAX = 65536
# Outputs of the parts of one record are numbered apart, so that a parked part keeps its numbers.
OUTPUTS_PER_PART = 1 << 16


class FoldBug(AssertionError):
    """A fold broke the rules of its declaration."""


@dataclass(slots=True)
class Held:
    """A state with all that follows from it."""

    state: Any
    value: bytes
    deadline: Deadline | None
    said: waiting.Said


class States(Protocol):
    """Where the states of a fold in one partition are kept, as the fold's encoder wrote them."""

    def load(self, key: bytes) -> bytes | None:
        """What is durable for the key."""
        ...

    def deadlines(self) -> list[tuple[int, bytes]]:
        """The deadline of each key that has one, for the start."""
        ...


class KeyedFold:
    """The states of a fold in one partition; takes part in transactions."""

    def __init__(
        self, fold: Fold, topology: str, states: States, parking: Parking, metrics: Metrics
    ) -> None:
        self.fold = fold
        self.topology = topology
        self._metrics = metrics
        self._states = states
        self._writes = {topic.name for topic in fold.writes}
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(fold.state).decode
        self._held: dict[bytes, Held | None] = {}
        # What the transaction under way changes.
        self.changed: dict[bytes, Held | None] = {}
        self.parking = parking
        self.timers = Timers(states.deadlines())

    def take(self, tx: FoldTransaction, record: Record, recorded: Recorded[Any]) -> int:
        """Folds a record, or the parts that the fold explodes it into; how many transitions."""
        count = 0
        for count, part in enumerate(self._parts(tx, record, recorded), 1):
            self.transition(tx, record, part, count - 1)
        return count

    def _parts(
        self, tx: FoldTransaction, record: Record, recorded: Recorded[Any]
    ) -> Sequence[Recorded[Any]]:
        """What is folded of a record. Where its keys can't be told, the record is a dead letter."""
        fold = self.fold
        try:
            if fold.explode is not None:
                pairs = list(fold.explode(recorded))
                return [replace(recorded, key=key, event=event) for key, event in pairs]
            if fold.key is not None:
                return (replace(recorded, key=fold.key(recorded)),)
        except Exception as bug:  # noqa: BLE001 - a bug of the fold, told by a dead letter
            append_letter(tx, "record", self.topology, fold.name, record, reason_of(bug))
            return ()
        return (recorded,)

    def transition(
        self,
        tx: FoldTransaction,
        record: Record,
        recorded: Recorded[Any],
        part: int,
        expired: Deadline | None = None,
    ) -> None:
        """One call of the fold for one key, with all that follows from it.

        `expired` is the deadline that is being folded; the state must not have it afterwards.
        """
        key = recorded.key
        if key in self.parking.queues:
            self.parking.add(key, record, part)
            tx.join(self.parking)
            return
        before = self.current(key)
        try:
            state, emits = self.fold.apply(None if before is None else before.state, recorded)
            outputs = [self._checked(emit) for emit in emits]
            after = self._after(state, before)
            if expired is not None and after is not None and after.deadline == expired:
                raise FoldBug(f"deadline {expired.name} is still there after it passed")
        except Exception as bug:  # noqa: BLE001 - parks the key, in this same transaction
            self._park(tx, record, recorded, part, bug)
            return
        cause = (recorded, record)
        if after is not before:
            tx.join(self)
            self.changed[key] = after
            now_said = None if after is None else after.said
            if now_said != (None if before is None else before.said):
                waiting.say(tx, self.topology, self.fold.name, key, now_said, cause)
        for number, output in enumerate(outputs, part * OUTPUTS_PER_PART):
            tx.emit(self.fold.name, number, output, cause)

    def current(self, key: bytes) -> Held | None:
        """What the key holds within this transaction."""
        try:
            return self.changed[key]
        except KeyError:
            pass
        try:
            return self._held[key]
        except KeyError:
            held = self._held[key] = self._loaded(key)
            return held

    def _loaded(self, key: bytes) -> Held | None:
        value = self._states.load(key)
        return None if value is None else self._derived(self._decode(value), value)

    def _after(self, state: Any | None, before: Held | None) -> Held | None:
        """What the key holds after the transition. Raises FoldBug, EndlessWait."""
        if state is None:
            return None
        if before is not None and state is before.state:
            return before
        if not isinstance(state, self.fold.state):
            raise FoldBug(f"state is a {type(state).__name__}, not a {self.fold.state.__name__}")
        value = self._encode(state)
        if len(value) > STATE_BYTES_MAX:
            raise FoldBug(f"state of {len(value)} bytes; {STATE_BYTES_MAX} are allowed")
        return self._derived(state, value)

    def _derived(self, state: Any, value: bytes) -> Held:
        fold = self.fold
        deadline = None if fold.deadline is None else fold.deadline(state)
        waits = None if fold.waiting is None else fold.waiting(state)
        return Held(state, value, deadline, waiting.said(waits, deadline))

    def _checked(self, emit: Emit) -> Output:
        """The output, encoded. Raises FoldBug where the fold did not declare it."""
        topic, event = emit.topic, emit.event
        if topic.name not in self._writes:
            raise FoldBug(f"{self.fold.name} does not declare that it writes {topic.name}")
        if type(event) not in topic.events:
            raise FoldBug(f"{topic.name} does not carry {type(event).__name__}")
        value = codec.encode(event)
        if len(value) > EVENT_BYTES_MAX:
            raise FoldBug(f"{topic.name}: an event of {len(value)} bytes; {EVENT_BYTES_MAX} fit")
        return topic, event, value

    def _park(
        self,
        tx: FoldTransaction,
        record: Record,
        recorded: Recorded[Any],
        part: int,
        bug: Exception,
    ) -> None:
        key, step = recorded.key, self.fold.name
        self.parking.add(key, record, part)
        tx.join(self.parking)
        self._metrics.parked(self.topology, tx.now_ms)
        reason = reason_of(bug)
        append_letter(tx, "parked", self.topology, step, record, reason, key)
        before = self.current(key)
        video_id = getattr(recorded.event, "video_id", "")
        if before is not None and before.said is not None:
            video_id = before.said[0].video_id
        stuck = Waiting(
            video_id=video_id,
            waits_for=f"a fix of {step}, which failed: {reason}"[:500],
            since_ms=recorded.at_ms,
            holder="",
            next="an operator redrives its dead letter",
        )
        waiting.say(tx, self.topology, step, key, (stuck, None), (recorded, record))

    def redrive(self, tx: FoldTransaction, key: bytes, cause: Record) -> int:
        """Folds what queued behind the key, in order, until one raises again; how many."""
        if key not in self.parking.queues:
            return 0
        queued = [(tx.find(place), part) for place, part in self.parking.queues[key]]
        try:
            parts = [self._part_of(record, part, key) for record, part in queued]
        except Exception as bug:  # noqa: BLE001 - told by a dead letter; the key stays parked
            self._told(tx, cause, key, reason_of(bug))
            return 0
        tx.join(self.parking)
        self.parking.release(key)
        before = self.current(key)
        still = None if before is None else before.said
        waiting.say(tx, self.topology, self.fold.name, key, still, (cause.recorded, cause))
        for (record, part), recorded in zip(queued, parts, strict=True):
            if record is None or recorded is None:
                self._told(tx, record or cause, key, f"there is no such part any more: {part}")
            else:
                self.transition(tx, record, recorded, part)
        after = self.current(key)
        if after is not None and after.deadline is not None:
            self.timers.add(after.deadline.at_ms, key)
        return len(queued)

    def _told(self, tx: FoldTransaction, record: Record, key: bytes, reason: str) -> None:
        append_letter(tx, "parked", self.topology, self.fold.name, record, reason, key)

    def _part_of(self, record: Record | None, part: int, key: bytes) -> Recorded[Any] | None:
        """What was parked; None where it is no more, or a fixed explode does not make it."""
        if record is None:
            return None
        recorded = record.recorded
        # Timers are of one key, and never taken apart.
        if self.fold.explode is None or recorded.topic == TIMERS.name:
            return replace(recorded, key=key)
        pairs = list(self.fold.explode(recorded))
        if part >= len(pairs) or pairs[part][0] != key:
            return None
        return replace(recorded, key=key, event=pairs[part][1])

    def commit(self) -> None:
        for key, held in self.changed.items():
            if held is not None and held.deadline is not None:
                self.timers.add(held.deadline.at_ms, key)
            self._held[key] = held
        self.changed = {}
        self.timers.commit()
        if len(self._held) > HELD_MAX:
            # The oldest go; a dictionary keeps the order of first insertion.
            for key in list(self._held)[: HELD_MAX // 8]:
                del self._held[key]

    def rollback(self) -> None:
        self.changed = {}
        self.timers.rollback()


def reason_of(bug: Exception) -> str:
    """What was raised and where, in one line."""
    frames = traceback.extract_tb(bug.__traceback__)
    where = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    return f"{bug!r}{where}"
