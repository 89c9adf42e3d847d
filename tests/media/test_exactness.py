"""From a source's bytes to what a player shows: each frame once, at its time, with its sound.

Probe, cut and encode run as they do in production; what is checked is the segments' own bytes and
the numbers burnt into the pictures, never what the code says of itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from millrace.processors.media import cmaf
from millrace.processors.media.audio import EncodedAudio, encode_audio
from millrace.processors.media.cut import CutChunk, cut
from millrace.processors.media.encode import EncodedRung, encode
from millrace.processors.media.probe import Limits, Probed, probe
from millrace.processors.media.timeline import grid_of
from millrace.schemas.events import Grid, Rung, VideoTrack
from tests.media.clips import CLIPS, Clip, flashes, make, number_of

LIMITS = Limits()
AAC_FRAME = Fraction(1024, 48_000)
OFFSET_S = 10
"""Longer than FFmpeg looks for pictures if it is not told to."""


def make_rung(name: str, size: tuple[int, int], group: int) -> Rung:
    return Rung(
        name=name,
        width=size[0],
        height=size[1],
        codec="libx264",
        preset="veryfast",
        crf=23.0,
        maxrate_bps=1_000_000,
        bufsize_bits=2_000_000,
        group=group,
        own_pass=group == 0,
        recipe="0",
    )


RUNGS = (
    make_rung("90p", (160, 90), 0),
    make_rung("144p", (256, 144), 1),
    make_rung("180p", (320, 180), 1),
)


@dataclass(frozen=True)
class Made:
    """A clip after the whole way: chunk by chunk, each rung's encodes in the chunks' order."""

    clip: Clip
    probed: Probed
    track: VideoTrack
    grid: Grid
    chunks: list[CutChunk]
    rungs: dict[str, list[EncodedRung]]
    source: Path


def make_whole_way(clip: Clip, directory: Path) -> Made:
    return whole_way(clip, make(clip, directory), directory)


def whole_way(clip: Clip, source: Path, directory: Path) -> Made:
    probed = probe(source, LIMITS)
    track = probed.video
    assert track is not None
    grid = grid_of(track)
    chunk_dir = directory / "chunks"
    chunk_dir.mkdir()
    chunks = list(cut(source, track, grid, chunk_dir))
    rungs: dict[str, list[EncodedRung]] = {rung.name: [] for rung in RUNGS}
    for chunk in chunks:
        for group in (RUNGS[:1], RUNGS[1:]):
            out_dir = directory / "out" / str(chunk.range.number)
            for one in encode(chunk.path, track, grid, chunk.range, group, out_dir):
                rungs[one.rung.name].append(one)
    return Made(clip, probed, track, grid, chunks, rungs, source)


@pytest.fixture(scope="module", params=CLIPS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_whole_way(CLIPS[request.param], tmp_path_factory.mktemp("exact"))


def expected_ticks(made: Made) -> dict[int, int]:
    """Number of each frame that a player must show, with its tick; from the clip alone.

    A clip of constant rate that a container rounds to 1 ms is expected at its true times.
    """
    shown = [(n, pts) for n, pts in enumerate(made.clip.pts) if pts >= 0]
    first, zero = shown[0]
    rate = made.clip.rate or 1 / made.clip.time_base
    if made.clip.name == "stills.mkv":
        times = [(pts - zero) * made.clip.time_base for _, pts in shown]
    else:
        rate = Fraction(30) if made.clip.name == "vp9.webm" else rate
        times = [(n - first) / rate for n, _ in shown]
    ticks = [time * made.grid.timescale for time in times]
    assert all(tick.denominator == 1 for tick in ticks), "the timescale suits the clip"
    return {n: tick.numerator for (n, _), tick in zip(shown, ticks, strict=True)}


def fragments(encoded: Sequence[EncodedRung]) -> list[cmaf.Fragment]:
    return [cmaf.read_fragment(path.read_bytes()) for one in encoded for _, path in one.segments]


def joined(encoded: Sequence[EncodedRung]) -> BytesIO:
    parts = [encoded[0].init_path.read_bytes()]
    parts += [path.read_bytes() for one in encoded for _, path in one.segments]
    return BytesIO(b"".join(parts))


def test_every_rung_shows_exactly_the_frames_of_the_source_in_order(made: Made) -> None:
    numbers = list(expected_ticks(made))
    for name, encoded in made.rungs.items():
        with av.open(joined(encoded), "r") as container:
            assert [number_of(frame) for frame in container.decode(video=0)] == numbers, name


def test_every_frame_is_shown_at_its_exact_tick(made: Made) -> None:
    ticks = list(expected_ticks(made).values())
    for name, encoded in made.rungs.items():
        samples = [sample for run in fragments(encoded) for sample in run.samples]
        assert sorted(sample.shown_at for sample in samples) == ticks, name


def test_joints_are_exact_in_ticks_from_zero_to_the_end(made: Made) -> None:
    length = (made.track.end_pts - made.track.start_pts) * made.track.time_base_num
    end = Fraction(length * made.grid.timescale, made.track.time_base_den)
    for encoded in made.rungs.values():
        runs = fragments(encoded)
        assert runs[0].decode_time == 0
        for one, two in pairwise(runs):
            assert two.decode_time == one.decode_time + one.duration
        last = runs[-1].decode_time + runs[-1].duration
        # The end of a track whose container rounds its times is only known to that rounding.
        assert abs(last - end) <= Fraction(made.grid.timescale, 1000)
        assert min(sample.duration for run in runs for sample in run.samples) > 0


def test_rungs_are_cut_alike_and_each_has_one_init_segment(made: Made) -> None:
    shapes = set()
    for encoded in made.rungs.values():
        shapes.add(tuple((run.decode_time, len(run.samples)) for run in fragments(encoded)))
        assert len({one.init_path.read_bytes() for one in encoded}) == 1
        assert len({one.codec for one in encoded}) == 1
        numbers = [segment.number for one in encoded for segment, _ in one.segments]
        assert numbers == list(range(len(numbers)))
    assert len(shapes) == 1


def test_each_keyframe_stands_on_the_grid_and_each_segment_starts_with_one(made: Made) -> None:
    timescale = made.grid.timescale
    for encoded in made.rungs.values():
        cells: list[int] = []
        for run in fragments(encoded):
            assert run.samples[0].sync
            shown = sorted(run.samples, key=lambda sample: sample.shown_at)
            cells += [2 * (s.shown_at // (2 * timescale)) for s in shown if s.sync]
        assert len(set(cells)) == len(cells), "two keyframes in one cell"
        expected = {2 * (tick // (2 * timescale)) for tick in expected_ticks(made).values()}
        assert set(cells) == expected


def beep_starts(encoded: EncodedAudio) -> list[Fraction]:
    """Times of the beeps a player hears, in seconds of the timeline."""
    parts = [encoded.init_path.read_bytes(), *(path.read_bytes() for _, path in encoded.segments)]
    with av.open(BytesIO(b"".join(parts)), "r") as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    loud = np.flatnonzero(np.abs(heard) > 0.2 * np.abs(heard).max())
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-48_000) > 24_000)]
    return [Fraction(int(start), 48_000) for start in starts]


def flash_starts(made: Made) -> list[tuple[int, Fraction]]:
    """(number, time) of the frames that flash, as the lowest rung's own pass shows them."""
    encoded = made.rungs[RUNGS[0].name]
    shown = sorted(s.shown_at for run in fragments(encoded) for s in run.samples)
    with av.open(joined(encoded), "r") as container:
        frames = list(container.decode(video=0))
    return [
        (number_of(frame), Fraction(tick, made.grid.timescale))
        for frame, tick in zip(frames, shown, strict=True)
        if flashes(frame)
    ]


def _sounding(name: str) -> Clip:
    """A clip with beeps; the transport stream's pictures start at 10 s, its sound at 0.

    The sound of the slide show is written far ahead of its pictures.
    """
    clip = replace(CLIPS[name], beeps=True)
    if name != "offset.ts":
        return clip
    first = clip.pts[0] - OFFSET_S * 90_000
    return replace(clip, pts=[pts - first for pts in clip.pts])


@pytest.mark.parametrize(
    "name",
    ["closed-25.mp4", "ntsc-29.97.mp4", "film-23.976.mkv", "stills.mkv", "offset.ts", "edited.mp4"],
)
def test_flash_and_beep_are_as_far_apart_as_in_the_source(name: str, tmp_path: Path) -> None:
    clip = _sounding(name)
    made = make_whole_way(clip, tmp_path)
    (track,) = made.probed.audio
    encoded = encode_audio(
        made.source, track, made.track, made.grid, made.probed.duration_ms, 128_000, tmp_path / "a"
    )
    zero = next(pts for pts in clip.pts if pts >= 0) * clip.time_base
    beeps = beep_starts(encoded)
    flashed = flash_starts(made)
    assert len(beeps) >= 8
    assert len(flashed) >= 5
    for number, at in flashed:
        second = clip.pts[number] * clip.time_base // 1
        apart = clip.pts[number] * clip.time_base - second
        beep = min(beeps, key=lambda start: abs(start + zero - second))
        assert abs(at - beep - apart) < AAC_FRAME, (number, float(at), float(beep))
    length = Fraction(sum(segment.duration_ticks for segment, _ in encoded.segments), 48_000)
    track_length = (made.track.end_pts - made.track.start_pts) * Fraction(
        made.track.time_base_num, made.track.time_base_den
    )
    assert abs(length - track_length) < AAC_FRAME


def number_of_each(made: Made, rung: str) -> list[int]:
    with av.open(joined(made.rungs[rung]), "r") as container:
        return [number_of(frame) for frame in container.decode(video=0)]


def test_frames_closer_than_a_tick_are_one_and_the_last_of_them_is_seen(tmp_path: Path) -> None:
    """What muxers make of timestamps that do not increase: at a segment's border, at the end."""
    pts = [n * 40_000 + extra for n in range(176) for extra in ((0, 2) if n % 25 == 0 else (0,))]
    made = make_whole_way(Clip("doubled.mp4", pts, Fraction(1, 1_000_000)), tmp_path)
    seen = [n for n, at in enumerate(pts) if at + 2 not in pts]
    ticks = [(pts[n] * 9 + 50) // 100 for n in seen]
    for name, encoded in made.rungs.items():
        samples = [sample for run in fragments(encoded) for sample in run.samples]
        assert sorted(sample.shown_at for sample in samples) == ticks
        assert number_of_each(made, name) == seen


def test_a_damaged_packet_costs_its_pictures_and_nothing_else(tmp_path: Path) -> None:
    """The third keyframe of four is zeros: the picture stands until the next one, no time is lost.

    The frame before it is still held back by the decoder then, and lost with it.
    """
    clip = replace(CLIPS["closed-25.mp4"], name="damaged.mp4")
    source = make(clip, tmp_path)
    content = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        keys = [packet for packet in container.demux(video=0) if packet.is_keyframe]
    assert keys[2].pos is not None
    content[keys[2].pos : keys[2].pos + keys[2].size] = bytes(keys[2].size)
    source.write_bytes(content)
    made = whole_way(clip, source, tmp_path)
    ticks = expected_ticks(made)
    for name, encoded in made.rungs.items():
        samples = [sample for run in fragments(encoded) for sample in run.samples]
        assert sorted(sample.shown_at for sample in samples) == list(ticks.values())
        numbers = number_of_each(made, name)
        assert numbers[:99] + numbers[150:] == [*range(99), *range(150, 200)]
        assert 1 <= sum(one.repeated_frames for one in encoded) <= 51
