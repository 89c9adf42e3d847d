"""What the engine counts about itself, for readiness, /metrics and alerts.

Plain numbers by name, written by the engine's threads and read by anybody; nothing may decide on
them but the limit on parked keys.
"""

from collections import defaultdict, deque
from collections.abc import Mapping


class Metrics:
    """Counters and gauges; names and labels as Prometheus writes them."""

    def __init__(self, parked_a_minute_max: int) -> None:
        self._values: defaultdict[str, float] = defaultdict(float)
        self._parked_a_minute_max = parked_a_minute_max
        self._parked_at: defaultdict[str, deque[int]] = defaultdict(deque)
        # Topologies that parked more keys within a minute than they may.
        self.stopped: set[str] = set()

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        self._values[_named(name, labels)] += amount

    def put(self, name: str, value: float, **labels: str) -> None:
        self._values[_named(name, labels)] = value

    def parked(self, topology: str, now_ms: int) -> None:
        """A key was parked; past the limit of a minute the topology stops (design section 6)."""
        self.add("millrace_parked_total", topology=topology)
        times = self._parked_at[topology]
        times.append(now_ms)
        while times[0] <= now_ms - 60_000:
            times.popleft()
        if len(times) > self._parked_a_minute_max and topology not in self.stopped:
            self.stopped.add(topology)
            self.put("millrace_topology_stopped", 1, topology=topology)

    def snapshot(self) -> Mapping[str, float]:
        """All values, now."""
        return dict(self._values)


def _named(name: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return name
    inner = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inner}}}"
