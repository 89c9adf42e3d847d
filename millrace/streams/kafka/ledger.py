"""Which offsets were delivered and which are done: where a group may commit.

What is committed is never read again, so the position is the first delivered offset that is not
done, whatever was done beyond it. Offsets that were never delivered (transaction markers, aborted
records, what compaction took) are no gap. This must never learn of an offset that was not handed
to a step: a commit would pass it.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

# A topic and partition, as whoever keeps the ledger names it.
P = TypeVar("P")


class Ledger(Generic[P]):
    """Acknowledgements in any order, commits in order. Calls are of one thread."""

    def __init__(self) -> None:
        # Offsets that were delivered and are not committed, in order.
        self._delivered: defaultdict[P, deque[int]] = defaultdict(deque)
        self._done: defaultdict[P, set[int]] = defaultdict(set)
        # Where the next commit goes, for partitions that have moved since the last one.
        self._next: dict[P, int] = {}
        # The first offset of each partition that is not done.
        self._position: dict[P, int] = {}

    def begin(self, positions: Mapping[P, int]) -> None:
        """Partitions are read from these offsets on; whatever was delivered before is forgotten."""
        self.forget([*self._delivered, *self._position])
        self._position.update(positions)

    def deliver(self, partition: P, offset: int) -> None:
        """The offset goes to a step; partitions are read in order."""
        delivered = self._delivered[partition]
        assert not delivered or delivered[-1] < offset, f"{partition}: {offset} after {delivered}"
        delivered.append(offset)

    def acknowledge(self, partition: P, offset: int) -> bool:
        """The offset is done; whether it was waited for. A stale word changes nothing."""
        delivered = self._delivered.get(partition)
        if not delivered or not delivered[0] <= offset <= delivered[-1]:
            return False
        done = self._done[partition]
        done.add(offset)
        while delivered and delivered[0] in done:
            first = delivered.popleft()
            done.remove(first)
            self._next[partition] = self._position[partition] = first + 1
        return True

    def positions(self) -> dict[P, int]:
        """Where partitions may be committed that have moved since the last commit."""
        return dict(self._next)

    def committed(self, positions: Mapping[P, int]) -> None:
        """The broker has these positions; what moved meanwhile is for the next commit."""
        for partition, position in positions.items():
            if self._next.get(partition) == position:
                del self._next[partition]

    def forget(self, partitions: Iterable[P]) -> None:
        """They are read again from what was committed, here or elsewhere."""
        for partition in partitions:
            self._delivered.pop(partition, None)
            self._done.pop(partition, None)
            self._next.pop(partition, None)
            self._position.pop(partition, None)

    def position(self, partition: P) -> int | None:
        """The first offset that is not done, None of a partition that is not read."""
        return self._position.get(partition)

    def open(self, partition: P) -> int:
        """Offsets that were delivered, and are not done or stand behind one that is not."""
        delivered = self._delivered.get(partition)
        return len(delivered) if delivered is not None else 0
