"""A small mill of steps, one of each kind, for tests of the engine: real events, made-up topics.

Sacks of grain arrive (ObjectSeen), are counted once each, and a batch is complete when as many
distinct sacks are in as was asked for (ViewCounted.shard); an order without its sacks is given up
after a minute. Complete batches are milled by a work and shown by a projection.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from millrace.processors.bits import count, has_bit, with_bit
from millrace.processors.emit import Deadline, Emit, Waiting
from millrace.processors.media.failures import MediaFailed
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    DeadlinePassed,
    DeletionRequested,
    LateView,
    ObjectsDeleted,
    ObjectSeen,
    VideoBlocked,
    VideoHourCounted,
    VideoRestored,
    ViewCounted,
)
from millrace.schemas.topics import TOPICS, Topic, by_video
from millrace.sinks.ports import Column, Row, Table, Version
from millrace.streams.declarations import Failure, Fold, Project, Topology, Work, WorkPorts

GIVE_UP_MS = 60_000

ORDERS = Topic("orders", (ViewCounted,), by_video)
SACKS = Topic("sacks", (ObjectSeen,), by_video)
COUNTS = Topic("counts", (VideoHourCounted,), by_video)
BATCHES = Topic("batches", (VideoRestored, VideoBlocked), by_video)
MILLING = Topic("milling", (DeletionRequested,), by_video)
MILLING_LATER = Topic("milling-later", (DeletionRequested,), by_video)
FLOUR = Topic("flour", (ObjectsDeleted, LateView), by_video)
MILL_TOPICS = (*TOPICS, ORDERS, SACKS, COUNTS, BATCHES, MILLING, MILLING_LATER, FLOUR)


@dataclass(frozen=True, slots=True)
class Count:
    """Sacks of a batch so far, by their numbers."""

    seen: bytes = b""
    size: int = 0


def counted(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
    state, event = state or Count(), recorded.event
    number = int(event.upload_id)
    if event.etag == "mouldy":
        raise ValueError("a mouldy sack")
    if has_bit(state.seen, number):
        return state, []
    state = Count(with_bit(state.seen, number), state.size + event.size_bytes)
    total = VideoHourCounted(event.video_id, 0, count(state.seen), state.size, 0)
    return state, [Emit(COUNTS, total)]


@dataclass(frozen=True, slots=True)
class Batch:
    """An order and the sacks that came for it, whichever was first."""

    video_id: str
    wanted: int | None = None
    since_ms: int = 0
    seen: bytes = b""
    told: bool = False


def joined(state: Batch | None, recorded: Recorded[Any]) -> tuple[Batch, list[Emit]]:
    event = recorded.event
    if isinstance(event, DeadlinePassed):
        assert state is not None
        given_up = VideoBlocked(state.video_id, f"{count(state.seen)} of {state.wanted}")
        return replace(state, told=True), [Emit(BATCHES, given_up)]
    state = state or Batch(event.video_id)
    if isinstance(event, ViewCounted):
        if state.wanted is None:
            state = replace(state, wanted=event.shard, since_ms=recorded.at_ms)
    else:
        state = replace(state, seen=with_bit(state.seen, int(event.upload_id)))
    if state.told or state.wanted is None or count(state.seen) < state.wanted:
        return state, []
    lane = MILLING if state.wanted < 5 else MILLING_LATER
    wish = DeletionRequested(state.video_id, "mill", ())
    done = [Emit(BATCHES, VideoRestored(state.video_id, "complete")), Emit(lane, wish)]
    return replace(state, told=True), done


def give_up(state: Batch) -> Deadline | None:
    if state.told or state.wanted is None:
        return None
    return Deadline("sacks", state.since_ms + GIVE_UP_MS)


def awaited(state: Batch) -> Waiting | None:
    if state.told or state.wanted is None:
        return None
    text = f"{state.wanted - count(state.seen)} sacks"
    return Waiting(state.video_id, text, state.since_ms, "", "the batch is given up")


def mill(recorded: Recorded[DeletionRequested], ports: WorkPorts) -> Iterator[Emit]:
    event = recorded.event
    if event.video_id.startswith("stone"):
        raise MediaFailed("stone", "there is a stone in it")
    yield Emit(FLOUR, ObjectsDeleted(event.video_id, "ground", 1))
    if event.video_id.startswith("bug"):
        raise ZeroDivisionError("a bug in the mill")
    yield Emit(FLOUR, ObjectsDeleted(event.video_id, "packed", 2))


def mill_failed(recorded: Recorded[DeletionRequested], failure: Failure) -> list[Emit]:
    return [Emit(FLOUR, ObjectsDeleted(recorded.event.video_id, failure.code, 0))]


COUNT_TABLE = Table(
    "counts", (Column("batch", "text"),), (), (Column("sacks", "int"), Column("size", "int"))
)


def count_rows(recorded: Recorded[VideoHourCounted]) -> list[Row]:
    event = recorded.event
    values = {"batch": event.video_id, "sacks": event.counted, "size": event.rejected}
    return [Row(values, Version(0, 0))]


COUNTER = Fold("counter", 1, (SACKS,), (COUNTS,), Count, counted)
JOIN = Fold(
    "join",
    1,
    (ORDERS, SACKS),
    (BATCHES, MILLING, MILLING_LATER),
    Batch,
    joined,
    deadline=give_up,
    waiting=awaited,
)
MILL = Work("mill", (MILLING, MILLING_LATER), (DeletionRequested,), (FLOUR,), mill, mill_failed)
COUNT_ROWS = Project("count-rows", COUNTS, COUNT_TABLE, count_rows)

TALLIES = Topology("tallies", SACKS, (COUNTER, COUNT_ROWS))
ORDERING = Topology("ordering", ORDERS, (JOIN, MILL))
MILL_TOPOLOGIES = (TALLIES, ORDERING)


def make_sack(batch: str = "rye", number: int = 0, size: int = 10, etag: str = "") -> ObjectSeen:
    return ObjectSeen(batch, str(number), f"sacks/{batch}/{number}", size, etag)


def make_order(batch: str = "rye", wanted: int = 2) -> ViewCounted:
    return ViewCounted(batch, "miller", "s", 0, wanted, 0, "rule")
