"""Durations of consecutive segments, run-length coded: constant rates need a run or two a video.

States hold them packed: a variable rate may have a run a segment, 7200 in twelve hours, and a state
stays under 64 KB.
"""

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


def pack(runs: Runs) -> bytes:
    """The runs as variable-length numbers (LEB128), count and duration in turn."""
    packed = bytearray()
    for run in runs:
        for number in (run.count, run.duration_ticks):
            while number >= 0x80:
                packed.append(number & 0x7F | 0x80)
                number >>= 7
            packed.append(number)
    return bytes(packed)


def unpack(packed: bytes) -> Runs:
    """What pack packed."""
    numbers: list[int] = []
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    return tuple(map(SegmentRun, numbers[::2], numbers[1::2]))


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


def followed(stretches: dict[int, Runs], first: int, new: Runs) -> dict[int, Runs]:
    """The stretches with another, merged with the one it follows and the one that follows it."""
    found = dict(stretches)
    before = next((at for at, one in found.items() if at + length(one) == first), first)
    if before in found:
        new = join(found.pop(before), new)
    after = before + length(new)
    if after in found:
        new = join(new, found.pop(after))
    return {**found, before: new}
