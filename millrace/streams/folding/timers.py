"""When the keys of one fold are due.

A deadline that moves away, as those of sessions do with every event, costs nothing: its key stays
where it was, and whoever takes it asks the state and puts it back. It must never miss a deadline
that a state has.
"""

from heapq import heapify, heappop, heappush


class Timers:
    """Keys of one fold in one partition by the time to look at them, the earliest first."""

    def __init__(self, entries: list[tuple[int, bytes]]) -> None:
        self._heap = list(entries)
        heapify(self._heap)
        # The entry of each key that counts; others in the heap are left over.
        self._look_at = {key: at_ms for at_ms, key in entries}
        self._taken: list[tuple[int, bytes]] = []

    @property
    def next_ms(self) -> int | None:
        """The earliest time at which a key may be due."""
        return self._heap[0][0] if self._heap else None

    def add(self, at_ms: int, key: bytes) -> None:
        """The key's deadline; one that is looked at earlier anyway needs no second entry."""
        before = self._look_at.get(key)
        if before is None or at_ms < before:
            self._look_at[key] = at_ms
            heappush(self._heap, (at_ms, key))

    def take(self, until_ms: int, limit: int) -> list[tuple[int, bytes]]:
        """Keys to look at by that time; they come back if the transaction fails."""
        taken: list[tuple[int, bytes]] = []
        while self._heap and self._heap[0][0] <= until_ms and len(taken) < limit:
            at_ms, key = heappop(self._heap)
            if self._look_at.get(key) == at_ms:
                del self._look_at[key]
                taken.append((at_ms, key))
        self._taken += taken
        return taken

    def commit(self) -> None:
        self._taken.clear()

    def rollback(self) -> None:
        for at_ms, key in self._taken:
            self.add(at_ms, key)
        self._taken.clear()
