"""What is done of one rung: sets, hole-free prefix, sizes. The arithmetic of the join (TRN-6)."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

from millrace.processors import bits, runs
from millrace.processors.runs import Runs
from millrace.schemas.events import (
    ChunkEncoded,
    Grid,
    PlaylistRendition,
    RenditionSummary,
    Rung,
    VideoTrack,
)

FRAME_RATE_MAX = 60


@dataclass(frozen=True, slots=True)
class Stretch:
    """Segments that follow each other without a hole, and what they hold."""

    segments: int = 0
    frames: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RungDone:
    """What is stored of a rung.

    chunks is a bitset of chunk numbers; prefix are the segments without a hole from the first on;
    ahead maps the first segment of a stretch behind a hole to it, neighbours merged, so that one
    chunk that is late leaves one stretch.
    """

    chunks: bytes = b""
    prefix: Stretch = Stretch()
    ahead: dict[int, Stretch] = field(default_factory=dict)
    size_bytes: int = 0
    bandwidth_bps: int = 0
    codec: str = ""
    init_sha256: str = ""
    playable: bool = False
    completed: bool = False
    failed: bool = False


def with_chunk(rung: RungDone, made: ChunkEncoded, grid: Grid) -> RungDone:
    """The rung with one more chunk; the caller knows that it is new.

    Raises ValueError where the chunk's init segment differs from that of the others.
    """
    if rung.init_sha256 and rung.init_sha256 != made.init_sha256:
        raise ValueError(f"init segment of chunk {made.number} differs from the rung's")
    size_bytes = sum(s.size_bytes for s in made.segments)
    new = Stretch(len(made.segments), made.frames, size_bytes)
    whole = placed({0: rung.prefix, **rung.ahead}, made.range.first_segment, new)
    peak_bps = max(
        (s.size_bytes * 8 * grid.timescale // max(s.duration_ticks, 1) for s in made.segments),
        default=0,
    )
    return replace(
        rung,
        chunks=bits.with_bit(rung.chunks, made.number),
        prefix=whole.pop(0),
        ahead=whole,
        size_bytes=rung.size_bytes + size_bytes,
        bandwidth_bps=max(rung.bandwidth_bps, peak_bps),
        codec=made.codec,
        init_sha256=made.init_sha256,
    )


def placed(stretches: dict[int, Stretch], first: int, new: Stretch) -> dict[int, Stretch]:
    """The stretches with another, merged with the one it follows and the one that follows it."""
    found = dict(stretches)
    before = next(
        (at for at, one in found.items() if one.segments and at + one.segments == first), first
    )
    if before != first or first in found:
        new = both(found.pop(before), new)
    after = before + new.segments
    if after in found:
        new = both(new, found.pop(after))
    return {**found, before: new}


def both(one: Stretch, other: Stretch) -> Stretch:
    return Stretch(
        one.segments + other.segments,
        one.frames + other.frames,
        one.size_bytes + other.size_bytes,
    )


def summary(plan: Rung, rung: RungDone, all_runs: Runs, grid: Grid) -> RenditionSummary:
    """The rendition as far as it is whole; all_runs are the durations of the video's segments."""
    prefix = runs.take(all_runs, rung.prefix.segments)
    return RenditionSummary(
        rung=plan.name,
        width=plan.width,
        height=plan.height,
        codec=rung.codec,
        recipe=plan.recipe,
        segments=rung.prefix.segments,
        frames=rung.prefix.frames,
        duration_ms=runs.total_ticks(prefix) * 1000 // grid.timescale,
        size_bytes=rung.prefix.size_bytes,
        bandwidth_bps=rung.bandwidth_bps,
    )


def for_playlist(
    plan: Rung, rung: RungDone, all_runs: Runs, grid: Grid, video: VideoTrack
) -> PlaylistRendition:
    """What playlists say of the hole-free prefix."""
    prefix = runs.take(all_runs, rung.prefix.segments)
    mean_bps = rung.size_bytes * 8 * grid.timescale // max(runs.total_ticks(prefix), 1)
    return PlaylistRendition(
        name=plan.name,
        width=plan.width,
        height=plan.height,
        codec=rung.codec,
        language="",
        channels=0,
        sample_rate_hz=0,
        recipe=plan.recipe,
        timescale=grid.timescale,
        frame_rate=frame_rate(video),
        runs=prefix,
        bandwidth_bps=rung.bandwidth_bps,
        # The mean of a growing rung is not known yet; its peak is an upper bound.
        average_bps=mean_bps if rung.completed else rung.bandwidth_bps,
        complete=rung.completed,
    )


def frame_rate(video: VideoTrack) -> float:
    """Frames a second of the output: above the cap, every second (third, ...) frame is left out."""
    rate = Fraction(video.rate_num, video.rate_den)
    return float(rate / -(-rate // FRAME_RATE_MAX))
