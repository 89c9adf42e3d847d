"""Decides what is made of a source: the grid of its timeline, the rungs, the audio renditions.

Why it exists: every later step (cutting, encoding, packaging) follows from this plan alone, and
the names of all outputs follow from its recipes, so that equal inputs are never encoded twice
(TRN-2, TRN-3, TRN-4, TRN-8, TRN-11). It must never depend on anything but its arguments: the
same source, toolchain and policy give the same plan for ever.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from millrace.processors.media import timeline
from millrace.schemas.events import AudioRung, AudioTrack, Grid, Rung, VideoTrack

SEGMENT_MS: Final = 6_000
KEYFRAME_MS: Final = 2_000
# What audio is resampled to, hence the timeline of a video that has no picture.
SAMPLE_RATE_HZ: Final = 48_000
# A source this little above a box is scaled into it: 1920x1088 is 1080p, not a 1440p.
BOX_TOLERANCE: Final = Fraction(103, 100)
# YouTube's recommended upload rates from 48 frames a second are 1.5 times those up to 30.
HIGH_RATE_HZ: Final = 40
HIGH_RATE_FACTOR: Final = Fraction(3, 2)
# x264's own default; the peak rates below bound what it may cost.
CRF: Final = 23.0
# Raised when encoding makes other bytes of the same inputs with the same libraries.
RECIPE_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Box:
    """The picture area of a rung, landscape, in square pixels, with its peak rate."""

    name: str
    width: int
    height: int
    maxrate_bps: int


# Peak rates up to 30 frames a second. 480p to 1080p: the highest H.264 rate for that size (480p:
# for 960x540) in Apple's HLS Authoring Specification, its table of average rates. 360p, 1440p and
# 2160p: YouTube's recommended upload encoding settings (support.google.com/youtube/answer/1722171),
# since Apple names HEVC alone above 1080p. 240p: 360p's by the share of its area.
BOXES: Final = (
    Box("240p", 426, 240, 450_000),
    Box("360p", 640, 360, 1_000_000),
    Box("480p", 854, 480, 2_000_000),
    Box("720p", 1280, 720, 4_500_000),
    Box("1080p", 1920, 1080, 7_800_000),
    Box("1440p", 2560, 1440, 16_000_000),
    Box("2160p", 3840, 2160, 35_000_000),
)


@dataclass(frozen=True, slots=True)
class LadderPolicy:
    """What an operator decides about ladders.

    preset: x264's, the price of a picture in CPU.
    height_max: no rung's box is taller (in landscape).
    first_pass_min_ms: a shorter video has one encode group; the lowest rung's own pass costs
        about 8 % more CPU (measured, 240p) and gains nothing where there is nothing to wait for.
    """

    preset: str = "veryfast"
    height_max: int = 2_160
    first_pass_min_ms: int = 2 * SEGMENT_MS


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of a source. Rungs are lowest first; duration_ms is the whole timeline's length."""

    grid: Grid
    rungs: tuple[Rung, ...]
    audio: tuple[AudioRung, ...]
    duration_ms: int


def plan(
    video: VideoTrack | None,
    audio: tuple[AudioTrack, ...],
    source_sha256: str,
    toolchain: str,
    policy: LadderPolicy,
) -> Planned:
    """The plan for a probed source, which has a picture or sound or both."""
    assert video is not None or audio, "a source without tracks was refused by the probe"
    # The first track alone: whoever joins a video's facts waits for one rendition of sound.
    tracks = audio[:1]
    duration_ms = _duration_ms(video, tracks)
    if video is None:
        grid = Grid(SAMPLE_RATE_HZ, SEGMENT_MS, KEYFRAME_MS, chunk_segments=1)
        rungs: tuple[Rung, ...] = ()
    else:
        grid = timeline.grid_of(video, SEGMENT_MS, KEYFRAME_MS)
        own_pass = duration_ms >= policy.first_pass_min_ms
        rungs = tuple(
            replace(rung, recipe=video_recipe(rung, video, grid, source_sha256, toolchain))
            for rung in _rungs(video, own_pass, policy)
        )
    renditions = tuple(
        _audio_rung(track, video, grid, source_sha256, toolchain) for track in tracks
    )
    return Planned(grid, rungs, renditions, duration_ms)


def display_size(video: VideoTrack) -> tuple[int, int]:
    """Width and height as shown, in square pixels: after sample aspect ratio and rotation."""
    width = round(Fraction(video.width * video.sar_num, video.sar_den))
    size = (max(1, width), video.height)
    return size if video.rotation_deg % 180 == 0 else (size[1], size[0])


def audio_recipe(
    track: AudioTrack,
    bitrate_bps: int,
    video: VideoTrack | None,
    grid: Grid,
    source_sha256: str,
    toolchain: str,
) -> str:
    """The digest of all that makes an audio rendition; its timeline is the picture's, if any."""
    shown = None
    if video is not None:
        base = f"{video.time_base_num}/{video.time_base_den}"
        shown = [video.stream_index, base, video.start_pts, video.end_pts]
    return _digest(
        {
            "kind": "audio",
            "source": source_sha256,
            "toolchain": toolchain,
            "stream_index": track.stream_index,
            "channels": track.channels,
            "bitrate_bps": bitrate_bps,
            "segment_ms": grid.segment_ms,
            "timeline": shown,
        }
    )


def video_recipe(
    rung: Rung,
    video: VideoTrack,
    grid: Grid,
    source_sha256: str,
    toolchain: str,
) -> str:
    """The digest of all that makes a rung; other rungs are no part of it (TRN-11).

    A pass of its own decodes without the loop filter, so that it is a part.
    """
    colors = (video.color_primaries, video.color_transfer, video.color_matrix, video.color_range)
    return _digest(
        {
            "kind": "video",
            "source": source_sha256,
            "toolchain": toolchain,
            "size": [rung.width, rung.height],
            "encoder": [rung.codec, rung.preset, rung.crf, rung.maxrate_bps, rung.bufsize_bits],
            "own_pass": rung.own_pass,
            "grid": [grid.timescale, grid.segment_ms, grid.keyframe_ms, grid.chunk_segments],
            "stream_index": video.stream_index,
            "picture": [video.rotation_deg, video.sar_num, video.sar_den, video.field_order],
            "colors": [video.pixel_format, *colors],
            "rate": [video.rate_num, video.rate_den, video.constant_rate],
            "start": [video.time_base_num, video.time_base_den, video.start_pts],
        }
    )


def _digest(inputs: Mapping[str, object]) -> str:
    """64 bits in hex: it tells the few recipes of one video's rendition apart, no more."""
    text = json.dumps({**inputs, "version": RECIPE_VERSION}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _duration_ms(video: VideoTrack | None, audio: tuple[AudioTrack, ...]) -> int:
    if video is None:
        return max(track.duration_ms for track in audio)
    base = Fraction(video.time_base_num, video.time_base_den)
    return round((video.end_pts - video.start_pts) * base * 1_000)


def _rungs(video: VideoTrack, own_pass: bool, policy: LadderPolicy) -> tuple[Rung, ...]:
    """The rungs, lowest first, recipes still empty."""
    size = display_size(video)
    high_rate = Fraction(video.rate_num, video.rate_den) > HIGH_RATE_HZ
    return tuple(
        replace(
            _rung(box, size, high_rate, policy.preset),
            group=1 if own_pass and number > 0 else 0,
            own_pass=own_pass and number == 0,
        )
        for number, box in enumerate(_boxes(size, policy.height_max))
    )


def _rung(box: Box, size: tuple[int, int], high_rate: bool, preset: str) -> Rung:
    width, height = _fitted(size, box)
    maxrate_bps = int(box.maxrate_bps * (HIGH_RATE_FACTOR if high_rate else 1))
    return Rung(
        name=box.name,
        width=width,
        height=height,
        codec="libx264",
        preset=preset,
        crf=CRF,
        maxrate_bps=maxrate_bps,
        # Two seconds of it: from one forced keyframe to the next.
        bufsize_bits=maxrate_bps * KEYFRAME_MS // 1_000,
        group=0,
        own_pass=False,
        recipe="",
    )


def _boxes(size: tuple[int, int], height_max: int) -> tuple[Box, ...]:
    """The smallest box that holds the picture, and all below it; never above the source.

    A picture that fills a box exactly gets no larger one: the rungs would be the same pixels.
    """
    long, short = max(size), min(size)
    boxes = [box for box in BOXES if box.height <= height_max] or [BOXES[0]]
    smaller = [
        box
        for box in boxes
        if long > box.width * BOX_TOLERANCE or short > box.height * BOX_TOLERANCE
    ]
    return tuple(boxes[: len(smaller) + 1])


def _fitted(size: tuple[int, int], box: Box) -> tuple[int, int]:
    """The picture scaled down into the box (turned for portrait), to the nearest even size."""
    width, height = size
    box_width, box_height = (box.height, box.width) if height > width else (box.width, box.height)
    scale = min(Fraction(1), Fraction(box_width, width), Fraction(box_height, height))
    return _even(width, scale), _even(height, scale)


def _even(length: int, scale: Fraction) -> int:
    """The even number nearest to length * scale, above neither the source nor nothing."""
    nearest = 2 * round(length * scale / 2)
    return max(2, min(nearest, length - length % 2))


def _audio_rung(
    track: AudioTrack,
    video: VideoTrack | None,
    grid: Grid,
    source_sha256: str,
    toolchain: str,
) -> AudioRung:
    """AAC at 128 kbit/s, mono at half of it (TRN-8)."""
    kbps = 64 if track.channels == 1 else 128
    recipe = audio_recipe(track, kbps * 1_000, video, grid, source_sha256, toolchain)
    return AudioRung(f"audio-{kbps}", track, kbps * 1_000, recipe)
