"""The places at which a test may stop the engine dead; every name is written here and only here.

They exist so that "killed anywhere" is a list that can be walked. A point must never change what
the engine does: the hook it calls is given by whoever builds the engine, and does nothing else.
"""

from collections.abc import Callable

At = Callable[[str], None]

# A transaction: filled in memory, written to SQLite but not committed, durable, told to callers.
BEFORE_WRITE = "before-write"
BEFORE_COMMIT = "before-commit"
AFTER_COMMIT = "after-commit"
AFTER_ACKNOWLEDGE = "after-acknowledge"
# A transaction of Kafka: its outputs handed to the broker, then its states, not committed.
AFTER_PRODUCE = "after-produce"
AFTER_CHANGELOG = "after-changelog"
# A timer folded in memory, its transaction not yet written.
TIMER_FOLDED = "timer-folded"
# A request handed to a worker; one of its results durable, the worker not yet told; all results
# durable, the mark that the request is done not yet; the mark durable.
WORK_TAKEN = "work-taken"
WORK_EMITTED = "work-emitted"
WORK_BEFORE_DONE = "work-before-done"
WORK_DONE = "work-done"
# Rows written to the tables, the projection's position not yet.
ROWS_WRITTEN = "rows-written"

POINTS: tuple[str, ...] = (
    BEFORE_WRITE,
    BEFORE_COMMIT,
    AFTER_COMMIT,
    AFTER_ACKNOWLEDGE,
    TIMER_FOLDED,
    WORK_TAKEN,
    WORK_EMITTED,
    WORK_BEFORE_DONE,
    WORK_DONE,
    ROWS_WRITTEN,
)
# Those of a transaction of Kafka, in order.
KAFKA_POINTS: tuple[str, ...] = (
    BEFORE_WRITE,
    AFTER_PRODUCE,
    AFTER_CHANGELOG,
    BEFORE_COMMIT,
    AFTER_COMMIT,
)


def nowhere(point: str) -> None:
    """The hook of every engine that is not under test."""
