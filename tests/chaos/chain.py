"""Two folds in a row whose end is known in closed form, however often their workers die.

Grains are counted by key; each count goes to the second fold, which adds them up. After n grains of
a key the first holds n, the second n (n + 1) / 2, and each wrote every number up to n once, in
order. A count that is lost, doubled or out of order parks its key, which nobody can overlook.
"""

from dataclasses import dataclass, replace
from typing import Any

from millrace.processors.emit import Emit
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import ObjectSeen, VideoHourCounted
from millrace.schemas.topics import TOPICS, Topic, by_video
from millrace.streams.declarations import Fold, Topology

GRAINS = Topic("grains", (ObjectSeen,), by_video)
COUNTED = Topic("counted", (VideoHourCounted,), by_video)
SUMMED = Topic("summed", (VideoHourCounted,), by_video)
CHAIN_TOPICS = (*TOPICS, GRAINS, COUNTED, SUMMED)


@dataclass(frozen=True, slots=True)
class Total:
    """Records so far, and the sum of what they said."""

    count: int = 0
    total: int = 0


def count(state: Total | None, recorded: Recorded[Any]) -> tuple[Total, list[Emit]]:
    number = (state or Total()).count + 1
    said = VideoHourCounted(recorded.event.video_id, 0, number, 0, 0)
    return Total(number, number), [Emit(COUNTED, said)]


def add_up(state: Total | None, recorded: Recorded[Any]) -> tuple[Total, list[Emit]]:
    before, number = state or Total(), recorded.event.counted
    if number != before.count + 1:
        raise ValueError(f"{number} came after {before.count}")
    after = Total(number, before.total + number)
    return after, [Emit(SUMMED, VideoHourCounted(recorded.event.video_id, 0, after.total, 0, 0))]


@dataclass(frozen=True, slots=True)
class NewerTotal:
    """What the next version of the folds keeps: a field more, which the older one passes over."""

    count: int = 0
    total: int = 0
    largest: int = 0


def count_newer(state: NewerTotal | None, recorded: Recorded[Any]) -> tuple[Any, list[Emit]]:
    return newer(count, state, recorded)


def add_up_newer(state: NewerTotal | None, recorded: Recorded[Any]) -> tuple[Any, list[Emit]]:
    return newer(add_up, state, recorded)


def newer(
    apply: Any, state: NewerTotal | None, recorded: Recorded[Any]
) -> tuple[NewerTotal, list[Emit]]:
    """The older version's transition, and the new field."""
    before = None if state is None else Total(state.count, state.total)
    after, emits = apply(before, recorded)
    return NewerTotal(after.count, after.total, max(after.count, after.total)), emits


COUNTING = Topology("counting", GRAINS, (Fold("count", 1, (GRAINS,), (COUNTED,), Total, count),))
SUMMING = Topology("summing", COUNTED, (Fold("sum", 1, (COUNTED,), (SUMMED,), Total, add_up),))
CHAIN = (COUNTING, SUMMING)
NEWER = (
    replace(
        COUNTING,
        steps=(replace(COUNTING.folds[0], version=2, state=NewerTotal, apply=count_newer),),
    ),
    replace(
        SUMMING,
        steps=(replace(SUMMING.folds[0], version=2, state=NewerTotal, apply=add_up_newer),),
    ),
)
# By the version that a worker is told to be.
VERSIONS = {"1": CHAIN, "2": NEWER}


def grain(key: str) -> ObjectSeen:
    return ObjectSeen(key, "", "", 1, "")
