"""Durations of consecutive segments, run-length coded: constant rates need a run or two a video."""

from collections.abc import Iterable

from millrace.schemas.events import SegmentRun

Runs = tuple[SegmentRun, ...]


def of(durations_ticks: Iterable[int]) -> Runs:
    return join((), tuple(SegmentRun(1, ticks) for ticks in durations_ticks))


def join(first: Runs, second: Runs) -> Runs:
    """The runs of both, one after the other, equal neighbours merged."""
    merged = list(first)
    for run in second:
        if merged and merged[-1].duration_ticks == run.duration_ticks:
            merged[-1] = SegmentRun(merged[-1].count + run.count, run.duration_ticks)
        else:
            merged.append(run)
    return tuple(merged)


def length(runs: Runs) -> int:
    """How many segments."""
    return sum(run.count for run in runs)


def total_ticks(runs: Runs) -> int:
    return sum(run.count * run.duration_ticks for run in runs)


def take(runs: Runs, segments: int) -> Runs:
    """The first segments of the runs."""
    taken: list[SegmentRun] = []
    for run in runs:
        count = min(run.count, segments)
        if count <= 0:
            break
        taken.append(SegmentRun(count, run.duration_ticks))
        segments -= count
    return tuple(taken)
