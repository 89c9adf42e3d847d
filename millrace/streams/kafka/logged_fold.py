"""States and parked keys of a fold, as its changelog keeps them: in memory, and written with the
transaction.

Memory is what was read back from the changelog and every commit since; a task whose transaction
failed throws it away, so nothing here is ever rolled back.
"""

from collections.abc import Iterator

from millrace.streams.declarations import Fold
from millrace.streams.folding.keyed import KeyedFold
from millrace.streams.folding.parking import Parking, Queued
from millrace.streams.folding.records import Record
from millrace.streams.kafka import changelog
from millrace.streams.kafka.changelog import DUE, Restored
from millrace.streams.metrics import Metrics

# Key and value of a changelog record; None where the key is no more.
Change = tuple[bytes, bytes | None]


class LoggedStates:
    """The states of one fold in one partition, with when each is due, as the changelog has them."""

    def __init__(self, values: dict[bytes, bytes]) -> None:
        self.values = values

    def load(self, key: bytes) -> bytes | None:
        value = self.values.get(key)
        return None if value is None else value[DUE.size :]

    def deadlines(self) -> list[tuple[int, bytes]]:
        found = ((changelog.due_of(value), key) for key, value in self.values.items())
        return [(due_ms, key) for due_ms, key in found if due_ms is not None]


class LoggedParking(Parking):
    """Parked keys: one changelog record for each record that queues."""

    def __init__(self, step: str, stored: dict[tuple[bytes, int], changelog.Parked]) -> None:
        super().__init__()
        self._step = step
        self._numbers: dict[bytes, list[int]] = {}
        self.changes: list[Change] = []
        for (key, number), (topic, index, offset, part) in sorted(stored.items()):
            self.queues.setdefault(key, []).append(((topic, index, offset), part))
            self._numbers.setdefault(key, []).append(number)

    def add(self, key: bytes, record: Record, part: int) -> None:
        super().add(key, record, part)
        numbers = self._numbers.setdefault(key, [])
        numbers.append(numbers[-1] + 1 if numbers else 0)
        where = (record.partition.topic.name, record.partition.index, record.offset, part)
        name = changelog.parked_key(self._step, key, numbers[-1])
        self.changes.append((name, changelog.encode(where)))

    def release(self, key: bytes) -> list[Queued]:
        for number in self._numbers.pop(key, []):
            self.changes.append((changelog.parked_key(self._step, key, number), None))
        return super().release(key)

    def commit(self) -> None:
        self.changes.clear()

    def rollback(self) -> None:
        raise AssertionError("a task of Kafka forgets its memory instead")


class LoggedFold(KeyedFold):
    """A fold whose changes become records of the changelog."""

    def __init__(self, fold: Fold, topology: str, restored: Restored, metrics: Metrics) -> None:
        step = fold.name.encode()
        self._values = restored.states[step]
        self._parked = LoggedParking(fold.name, restored.parked[step])
        super().__init__(fold, topology, LoggedStates(self._values), self._parked, metrics)
        # State values as they will be read back, of the transaction under way.
        self._written: dict[bytes, bytes | None] = {}

    def changes(self) -> Iterator[Change]:
        """What the transaction under way changes, once, as records of the changelog."""
        name = self.fold.name
        for key, held in self.changed.items():
            value = None
            if held is not None:
                due_ms = held.deadline.at_ms if held.deadline else None
                value = changelog.state_value(held.value, due_ms)
            self._written[key] = value
            yield changelog.state_key(name, key), value
        yield from self._parked.changes

    def commit(self) -> None:
        for key, value in self._written.items():
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value
        self._written.clear()
        self._parked.commit()
        super().commit()

    @property
    def size(self) -> int:
        """Keys that have a state."""
        return len(self._values)
