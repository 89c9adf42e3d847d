"""Keys whose fold raised, and the records that queue behind them, in order.

Retrying a pure function is pointless, so the key waits for a fix and a redrive while other keys go
on. A queue must never be taken apart out of order, nor lose a record that it was given.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable

from millrace.streams.folding.records import Record

# Place of a record, and number of the part that a fold exploded it into.
Queued = tuple[Hashable, int]


class Parking(ABC):
    """The parked keys of one fold in one partition."""

    def __init__(self) -> None:
        self.queues: dict[bytes, list[Queued]] = {}

    def add(self, key: bytes, record: Record, part: int) -> None:
        """The record queues behind the key, which is parked from now on."""
        self.queues.setdefault(key, []).append((record.place, part))

    def release(self, key: bytes) -> list[Queued]:
        """The key goes on; what queued behind it, in order."""
        return self.queues.pop(key, [])

    @abstractmethod
    def commit(self) -> None:
        """What was added and released is durable."""

    @abstractmethod
    def rollback(self) -> None:
        """It never was."""
