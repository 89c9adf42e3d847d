"""The folds of one topology over one partition of each of its inputs, whichever engine runs them.

A task hands each record to every fold that reads its topic, in declared order, and folds the timers
that are due. A timer never overtakes the log: whoever calls `due` has read every input up to an end
that was sampled after that time.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from millrace.processors.emit import Deadline
from millrace.schemas import codec, ids
from millrace.schemas.codec import BadRecord
from millrace.schemas.envelope import Envelope
from millrace.schemas.events import DeadlinePassed
from millrace.schemas.topics import TIMERS, Topic
from millrace.streams.declarations import Topology
from millrace.streams.folding.journal import Journal
from millrace.streams.folding.keyed import KeyedFold
from millrace.streams.folding.letters import append_letter
from millrace.streams.folding.records import Place, Record
from millrace.streams.folding.transaction import FoldTransaction

TIMERS_MAX = 1000


class Due(NamedTuple):
    """A deadline that has passed."""

    fold: KeyedFold
    key: bytes
    deadline: Deadline


class FoldTask:
    """States, timers and journal of one topology in one partition."""

    def __init__(self, topology: Topology, index: int, folds: Mapping[str, KeyedFold]) -> None:
        self.topology = topology
        self.index = index
        self.folds = folds
        self.journal = Journal(topology, index)
        # Calls of folds so far.
        self.transitions = 0

    def readers_of(self, topic: Topic) -> tuple[KeyedFold, ...]:
        """The folds that read the topic, in declared order."""
        return tuple(fold for fold in self.folds.values() if topic in fold.fold.reads)

    def hand_out(self, tx: FoldTransaction, record: Record, folds: tuple[KeyedFold, ...]) -> None:
        """Gives the record to the folds. Raises UnknownFingerprint before any of them saw it."""
        try:
            recorded = record.recorded
        except BadRecord as bad:
            step = folds[0].fold.name
            append_letter(tx, "record", self.topology.name, step, record, str(bad))
            return
        for fold in folds:
            self.transitions += fold.take(tx, record, recorded)

    def is_due(self, now_ms: int) -> bool:
        """Whether a key may be due."""
        times = (fold.timers.next_ms for fold in self.folds.values())
        return any(time_ms is not None and time_ms <= now_ms for time_ms in times)

    def due(self, tx: FoldTransaction, until_ms: int) -> list[Due]:
        """Deadlines that passed by then, the earliest first; keys that moved theirs go back."""
        found: list[tuple[int, int, bytes, Due]] = []
        for order, fold in enumerate(self.folds.values()):
            tx.join(fold)
            for _, key in fold.timers.take(until_ms, TIMERS_MAX):
                held = fold.current(key)
                deadline = held.deadline if held is not None else None
                if deadline is None or key in fold.parking.queues:
                    continue
                if deadline.at_ms > until_ms:
                    fold.timers.add(deadline.at_ms, key)
                    continue
                found.append((deadline.at_ms, order, key, Due(fold, key, deadline)))
        found.sort(key=lambda entry: entry[:3])
        return [due for *_, due in found]

    def announce(self, tx: FoldTransaction, due: Due, where: Place) -> Any:
        """Appends that the deadline passed, in the task's own partition, so that it may replay."""
        topology, step, key, deadline = (
            self.topology.name,
            due.fold.fold.name,
            due.key,
            due.deadline,
        )
        event = DeadlinePassed(topology, step, key, deadline.name, deadline.at_ms)
        id_ = ids.derive("timer", topology, step, key.hex(), deadline.name, str(deadline.at_ms))
        return tx.put(where, key, codec.encode(event), event, Envelope(id_, deadline.at_ms))

    def expire(self, tx: FoldTransaction, due: Due, record: Record) -> None:
        """Folds the deadline, whose record has its place on the log."""
        due.fold.transition(tx, record, record.recorded, 0, due.deadline)
        self.journal.folded(TIMERS.name, record.offset, record.offset)

    @property
    def next_timer_ms(self) -> int | None:
        """When a key may be due."""
        times = [fold.timers.next_ms for fold in self.folds.values()]
        return min((time_ms for time_ms in times if time_ms is not None), default=None)


def inputs_of(topology: Topology) -> tuple[Topic, ...]:
    """Every topic that a fold of the topology reads, once, in declared order."""
    seen: dict[str, Topic] = {}
    for fold in topology.folds:
        for topic in fold.reads:
            seen.setdefault(topic.name, topic)
    return tuple(seen.values())
