"""When the keys of one fold are due.

A heap that is allowed to be wrong: entries that a later transition made stale stay in it, and
whoever takes one asks the state whether it still means it. It must never miss a deadline that a
state has.
"""

from heapq import heappop, heappush


class Timers:
    """Deadlines of one fold in one partition: (due, key), the earliest first."""

    def __init__(self, entries: list[tuple[int, bytes]]) -> None:
        # A sorted list is a heap.
        self._heap = sorted(entries)
        self._taken: list[tuple[int, bytes]] = []

    @property
    def next_ms(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def add(self, at_ms: int, key: bytes) -> None:
        heappush(self._heap, (at_ms, key))

    def take(self, until_ms: int, limit: int) -> list[tuple[int, bytes]]:
        """What is due at that time; it comes back if the transaction fails."""
        due: list[tuple[int, bytes]] = []
        while self._heap and self._heap[0][0] <= until_ms and len(due) < limit:
            due.append(heappop(self._heap))
        self._taken += due
        return due

    def commit(self) -> None:
        self._taken.clear()

    def rollback(self) -> None:
        for entry in self._taken:
            heappush(self._heap, entry)
        self._taken.clear()
