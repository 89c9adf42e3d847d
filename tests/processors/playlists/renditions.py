"""Builders of what packaging is given."""

from dataclasses import replace
from typing import Any

from millrace.schemas.events import Grid, PlaylistRendition, SegmentRun

GRID = Grid(timescale=30_000, segment_ms=6_000, keyframe_ms=2_000, chunk_segments=1)
# 29.97 frames a second: 180 frames a segment, 90 in the last, 27.03 s in all.
NTSC_RUNS = (SegmentRun(4, 180_180), SegmentRun(1, 90_090))


def make_rung(**overrides: Any) -> PlaylistRendition:
    rung = PlaylistRendition(
        name="240p",
        width=426,
        height=240,
        codec="avc1.640015",
        language="",
        channels=0,
        sample_rate_hz=0,
        recipe="0123456789abcdef",
        timescale=30_000,
        frame_rate=30_000 / 1_001,
        runs=NTSC_RUNS,
        bandwidth_bps=400_000,
        average_bps=300_000,
        complete=False,
    )
    return replace(rung, **overrides)


def make_sound(**overrides: Any) -> PlaylistRendition:
    """48 kHz AAC in cuts at the frame nearest to each grid point: 281 or 282 frames."""
    sound = PlaylistRendition(
        name="audio-128",
        width=0,
        height=0,
        codec="mp4a.40.2",
        language="und",
        channels=2,
        sample_rate_hz=48_000,
        recipe="fedcba9876543210",
        timescale=48_000,
        frame_rate=0.0,
        runs=(
            SegmentRun(1, 281 * 1_024),
            SegmentRun(1, 282 * 1_024),
            SegmentRun(2, 281 * 1_024),
            SegmentRun(1, 141 * 1_024),
        ),
        bandwidth_bps=130_000,
        average_bps=128_000,
        complete=True,
    )
    return replace(sound, **overrides)


LADDER = (
    make_rung(),
    make_rung(
        name="480p",
        width=854,
        height=480,
        codec="avc1.64001f",
        recipe="1111111111111111",
        bandwidth_bps=1_500_000,
        average_bps=1_100_000,
    ),
)
