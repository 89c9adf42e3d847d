"""Counts decided views exactly, per shard and then per video and hour (CNT-3, CNT-4).

Totals are absolutes, never increments, so a repeat changes nothing. A shard is flushed a second
after its first change: one write a video and flush, however many views came.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from millrace.processors.emit import Deadline, Emit
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    DeadlinePassed,
    LateView,
    ShardCounted,
    VideoHourCounted,
    ViewCounted,
    ViewRejected,
)
from millrace.schemas.topics import VIEW_SHARDS, VIEW_TOTALS

FLUSH_MS = 1_000


@dataclass(frozen=True, slots=True)
class Tally:
    """Totals of one shard; dirty_ms is when the first change since the last flush came."""

    video_id: str
    hour_ms: int
    shard: int
    counted: int = 0
    rejected: int = 0
    late: int = 0
    dirty_ms: int | None = None
    # When the last flush was due; the next one is due later, so that no two are the same timer.
    flushed_ms: int = 0


@dataclass(frozen=True, slots=True)
class Hour:
    """The last absolute (counted, rejected, late) of each shard of a video and hour."""

    shards: dict[int, tuple[int, int, int]] = field(default_factory=dict)


def tally(state: Tally | None, recorded: Recorded[Any]) -> tuple[Tally | None, list[Emit]]:
    event = recorded.event
    if isinstance(event, DeadlinePassed):
        assert state is not None
        flushed = replace(state, dirty_ms=None, flushed_ms=event.at_ms)
        return flushed, [Emit(VIEW_SHARDS, shard_counted(state))]
    state = state or Tally(event.video_id, event.hour_ms, event.shard)
    match event:
        case ViewCounted():
            state = replace(state, counted=state.counted + 1)
        case ViewRejected():
            state = replace(state, rejected=state.rejected + 1)
        case LateView():
            state = replace(state, late=state.late + 1)
    dirty_ms = state.dirty_ms
    if dirty_ms is None:
        dirty_ms = max(recorded.at_ms, state.flushed_ms)
    return replace(state, dirty_ms=dirty_ms), []


def flush(state: Tally) -> Deadline | None:
    return None if state.dirty_ms is None else Deadline("flush", state.dirty_ms + FLUSH_MS)


def shard_counted(state: Tally) -> ShardCounted:
    return ShardCounted(
        video_id=state.video_id,
        hour_ms=state.hour_ms,
        shard=state.shard,
        counted=state.counted,
        rejected=state.rejected,
        late=state.late,
    )


def merge(state: Hour | None, recorded: Recorded[ShardCounted]) -> tuple[Hour | None, list[Emit]]:
    event = recorded.event
    totals = event.counted, event.rejected, event.late
    shards = {**(state or Hour()).shards, event.shard: totals}
    counted, rejected, late = (sum(column) for column in zip(*shards.values(), strict=True))
    total = VideoHourCounted(event.video_id, event.hour_ms, counted, rejected, late)
    return Hour(shards), [Emit(VIEW_TOTALS, total)]
