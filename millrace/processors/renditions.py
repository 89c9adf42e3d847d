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
class RungDone:
    """What is stored of a rung.

    chunks is a bitset of chunk numbers; prefix is the number of segments without a hole from the
    first on; ahead maps the first segment of a stretch behind a hole to its length.
    """

    chunks: bytes = b""
    prefix: int = 0
    ahead: dict[int, int] = field(default_factory=dict)
    frames: int = 0
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
    prefix, ahead = prefix_with(rung, made)
    peak_bps = max(
        (s.size_bytes * 8 * grid.timescale // max(s.duration_ticks, 1) for s in made.segments),
        default=0,
    )
    return replace(
        rung,
        chunks=bits.with_bit(rung.chunks, made.number),
        prefix=prefix,
        ahead=ahead,
        frames=rung.frames + made.frames,
        size_bytes=rung.size_bytes + sum(s.size_bytes for s in made.segments),
        bandwidth_bps=max(rung.bandwidth_bps, peak_bps),
        codec=made.codec,
        init_sha256=made.init_sha256,
    )


def prefix_with(rung: RungDone, made: ChunkEncoded) -> tuple[int, dict[int, int]]:
    prefix, ahead = rung.prefix, dict(rung.ahead)
    ahead[made.range.first_segment] = len(made.segments)
    while prefix in ahead:
        prefix += ahead.pop(prefix)
    return prefix, ahead


def summary(plan: Rung, rung: RungDone, all_runs: Runs, grid: Grid) -> RenditionSummary:
    """The rendition as published; all_runs are the durations of the video's segments."""
    return RenditionSummary(
        rung=plan.name,
        width=plan.width,
        height=plan.height,
        codec=rung.codec,
        recipe=plan.recipe,
        segments=rung.prefix,
        frames=rung.frames,
        duration_ms=runs.total_ticks(all_runs) * 1000 // grid.timescale,
        size_bytes=rung.size_bytes,
        bandwidth_bps=rung.bandwidth_bps,
    )


def for_playlist(
    plan: Rung, rung: RungDone, all_runs: Runs, grid: Grid, video: VideoTrack
) -> PlaylistRendition:
    """What playlists say of the hole-free prefix."""
    prefix = runs.take(all_runs, rung.prefix)
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
