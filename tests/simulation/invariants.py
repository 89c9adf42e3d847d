"""Promises that hold whatever happened, each a sentence that says how it was broken."""

from collections import Counter
from collections.abc import Iterator

from millrace.schemas.events import LateView, ViewCounted, ViewRejected
from millrace.schemas.states import may_move
from millrace.schemas.topics import CATALOG, DEAD_LETTERS, TOPICS, VIEWS, WAITING
from millrace.sinks.ports import Tables
from millrace.sinks.tables import VIEW_HOURS
from millrace.streams.embedded.driver import Driver

COLUMNS = {ViewCounted: "counted", ViewRejected: "rejected", LateView: "late"}


def broken(driver: Driver, tables: Tables) -> list[str]:
    """A line for each promise that does not hold."""
    return [
        *said_twice(driver),
        *left_over(driver),
        *refused_moves(driver),
        *inexact_totals(driver, tables),
    ]


def said_twice(driver: Driver) -> Iterator[str]:
    """A fold's output exists once; a work may say its own twice, and folds see to that."""
    works = {work.name for topology in driver.core.topologies for work in topology.works}
    for topic in TOPICS:
        seen: set[str] = set()
        for record in driver.records(topic):
            step = record.origin.split(" ")[0].removesuffix("/failed")
            if record.id in seen and step not in works and step:
                yield f"{topic.name} {record.offset}: {step} said {record.id} twice"
            seen.add(record.id or "")


def left_over(driver: Driver) -> Iterator[str]:
    """Nothing is given up, nothing waits, nothing is in hand."""
    for letter in driver.events(DEAD_LETTERS):
        yield f"dead letter: {letter.kind} {letter.step} {letter.reason}"
    held = {recorded.key: recorded.event for recorded in driver.read(WAITING)}
    yield from (f"still waits: {event}" for event in held.values() if event is not None)
    if driver.core.board.unfinished:
        yield f"{driver.core.board.unfinished} requests are not done"


def refused_moves(driver: Driver) -> Iterator[str]:
    """A video moves between states as OPS-1 allows."""
    states: dict[str, str] = {}
    for document in driver.events(CATALOG):
        before = states.get(document.video_id, document.state)
        if before != document.state and not may_move(before, document.state):
            yield f"{document.video_id} moved from {before} to {document.state}"
        states[document.video_id] = document.state


def inexact_totals(driver: Driver, tables: Tables) -> Iterator[str]:
    """The rows count exactly what was decided, and a viewer counts once a day (CNT-2, CNT-3)."""
    wanted: Counter[tuple[str, int, str]] = Counter()
    counted: Counter[tuple[str, str]] = Counter()
    for event in driver.events(VIEWS):
        wanted[event.video_id, event.hour_ms, COLUMNS[type(event)]] += 1
        if isinstance(event, ViewCounted):
            counted[event.video_id, event.viewer_id] += 1
    found: Counter[tuple[str, int, str]] = Counter()
    for row in tables.scan(VIEW_HOURS):
        for column in COLUMNS.values():
            values = row.values
            found[values["video_id"], values["hour_ms"], column] += values[column]
    for place in sorted({*wanted, *found}):
        if wanted[place] != found[place]:
            yield f"{place}: {wanted[place]} were decided, {found[place]} are shown"
    yield from (f"{who} was counted {n} times" for who, n in counted.items() if n > 1)
