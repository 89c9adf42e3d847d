"""How often a process that holds many states looks for cycles among them.

States and records are freed by their reference counts; the collector finds next to nothing and
looks at all of it. With Python's own thresholds it took a third of a fold's CPU (27 us a record at
10 k states against 18, one core, on Kafka), and a sixth of a gateway's whose 256 requests in flight
outlive its youngest generation. It must never be switched off: libraries make cycles.
"""

import gc

# Objects made and not freed before the youngest are looked at, and how many looks at those before
# the next older generation has its turn.
THRESHOLDS = (20_000, 10, 10)


def collect_rarely() -> None:
    """For processes that serve or run an engine; call it once, at their start."""
    gc.set_threshold(*THRESHOLDS)
