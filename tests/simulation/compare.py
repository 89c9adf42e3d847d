"""What two runs must have in common: the facts on the log, the rows in the tables.

Left out is what depends on when and where and how often something was tried, and nothing else:
places on the log, append times, attempts, holders, and the times of facts that follow a retry.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

from millrace.schemas.envelope import Recorded
from millrace.schemas.topics import JOURNALS, TIMERS, TOPICS, WAITING, Topic
from millrace.sinks.ports import Table, Tables
from millrace.sinks.tables import HISTORY, STEPS, TABLES

# How often and by whom something was tried, and at which place or time that was.
APART = frozenset(
    (
        *("attempt", "worker", "reused", "cpu_seconds", "sequence"),
        *("positions", "position", "place_offset", "offset"),
        *("at_ms", "stored_at_ms", "playable_at_ms", "published_at_ms", "since_ms"),
    )
)
# Facts that a run has once for each attempt that it needed.
ATTEMPTS = frozenset(
    (
        *("SourceWorkStarted", "EncodeWorkStarted"),
        *("SourceStepFailed", "EncodeFailed", "PackageFailed"),
    )
)
# How far something is, until the event that says that it is done; a late worker may say it again.
ON_THE_WAY = frozenset({"RenditionProgressed", "PlaylistsWritten"})
# Topics of the engine: how it went, not what came of it.
OF_THE_ENGINE = (JOURNALS, TIMERS, WAITING)

Facts = dict[str, Any]


class Run(Protocol):
    """A run of either engine, whose topics can be read."""

    def read(self, topic: Topic) -> Sequence[Recorded[Any]]: ...


def plain(value: Any) -> Any:
    """The value without what is APART, hashable."""
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        return (type(value).__name__, plain(named))
    if isinstance(value, Mapping):
        kept = {name: plain(part) for name, part in value.items() if name not in APART}
        return tuple(sorted(kept.items()))
    if isinstance(value, list | tuple):
        return tuple(plain(part) for part in value)
    return value


def facts(driver: Run, tables: Tables) -> Facts:
    """All that came of a run, by topic and table."""
    found: Facts = {}
    for topic in TOPICS:
        if topic not in OF_THE_ENGINE:
            found |= topic_facts(topic, driver.read(topic))
    for table in TABLES:
        found[f"table {table.name}"] = frozenset(
            (row.deleted, None if row.deleted else plain(shown(table, row.values)))
            for row in tables.scan(table)
            if table is not HISTORY or row.values["event"] not in ATTEMPTS
        )
    return found


def shown(table: Table, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of a row must be equal.

    The row of a step tells of its newest attempt, and a worker that is lost after its last result
    and before its end leaves a failed attempt of a step that is done.
    """
    if table is STEPS:
        return {name: values[name] for name in ("video_id", "step", "epoch")}
    return values


def topic_facts(topic: Topic, records: Iterable[Recorded[Any]]) -> Facts:
    """Events as a set, progress as the last of each key, requests not at all."""
    events, last = set(), {}
    for recorded in records:
        event = recorded.event
        kind = getattr(event, "KIND", "")
        name = type(event).__name__
        if kind == "event" and name not in ATTEMPTS:
            events.add((recorded.key, plain(event)))
        elif kind == "progress" and name not in ON_THE_WAY:
            last[recorded.key, name] = plain(event)
    return {f"{topic.name} events": frozenset(events), f"{topic.name} progress": last}


def differences(wanted: Facts, found: Facts) -> list[str]:
    """What differs, a line each; empty where the runs came to the same."""
    lines = []
    for name in sorted({*wanted, *found}):
        first, second = wanted.get(name), found.get(name)
        if first != second:
            lines += [f"{name}: {line}" for line in differing(first, second)]
    return lines


def differing(first: Any, second: Any) -> list[str]:
    if isinstance(first, frozenset) and isinstance(second, frozenset):
        gone = [f"missing {item!r}" for item in sorted(first - second, key=repr)]
        return gone + [f"unexpected {item!r}" for item in sorted(second - first, key=repr)]
    first, second = first or {}, second or {}
    return [
        f"at {key!r}: wanted {first.get(key)!r}, found {second.get(key)!r}"
        for key in sorted({*first, *second}, key=repr)
        if first.get(key) != second.get(key)
    ]
