"""Cutting is exact: frame for frame, in timestamps and at the joints (TRN-2)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from millrace.processors.media.cut import CutChunk, cut
from millrace.processors.media.failures import MediaFailed, Refused
from millrace.processors.media.probe import Limits, probe
from millrace.processors.media.timeline import cell_of, grid_of, schedule, tick_of
from millrace.schemas.events import Grid, VideoTrack
from tests.media.clips import CLIPS, MS, Clip
from tests.media.frames import Frame, decoded, kept

REAL = ("bigbuckbunny.mp4", "bikes.mp4")
SOURCES = (*CLIPS, *REAL)

Source = Callable[[str], Path]


def track_of(path: Path) -> VideoTrack:
    video = probe(path, Limits()).video
    assert video is not None
    return video


def chunks_of(
    path: Path, out_dir: Path, chunk_ms: int
) -> tuple[VideoTrack, Grid, list[CutChunk], list[list[Frame]]]:
    """The chunks of a source with one segment of `chunk_ms` each, and the frames they keep."""
    track = track_of(path)
    grid = replace(grid_of(track, segment_ms=chunk_ms, keyframe_ms=chunk_ms), chunk_segments=1)
    chunks = list(cut(path, track, grid, out_dir))
    return track, grid, chunks, [kept(chunk, track) for chunk in chunks]


@pytest.fixture(scope="module")
def shown_frames(source: Source) -> Callable[[str], list[Frame]]:
    """Every frame that a source shows, decoded once a source, in one run from its begin."""
    known: dict[str, list[Frame]] = {}

    def frames_of(name: str) -> list[Frame]:
        if name not in known:
            start = track_of(source(name)).start_pts
            known[name] = [frame for frame in decoded(source(name)) if frame[0] >= start]
        return known[name]

    return frames_of


@pytest.mark.parametrize("chunk_ms", [6000, 2500, 1000])
@pytest.mark.parametrize("name", SOURCES)
def test_every_frame_of_a_source_is_in_exactly_one_chunk(
    name: str,
    chunk_ms: int,
    source: Source,
    shown_frames: Callable[[str], list[Frame]],
    tmp_path: Path,
) -> None:
    track, grid, chunks, frames = chunks_of(source(name), tmp_path, chunk_ms)
    assert [frame for part in frames for frame in part] == shown_frames(name)
    assert track.frames == len(shown_frames(name))
    assert [chunk.range.frames for chunk in chunks] == [len(part) for part in frames]
    _assert_ranges_say_the_truth(track, grid, chunks, frames)


def _assert_ranges_say_the_truth(
    track: VideoTrack, grid: Grid, chunks: list[CutChunk], frames: list[list[Frame]]
) -> None:
    """Joints, borders, numbers and segments, all against the decoded timestamps."""
    firsts = [part[0][0] for part in frames]
    assert [chunk.range.next_pts for chunk in chunks] == [*firsts[1:], track.end_pts]
    assert [chunk.range.hi_pts for chunk in chunks[:-1]] == [c.range.lo_pts for c in chunks[1:]]
    assert chunks[-1].range.hi_pts is None
    chunk_ms = grid.segment_ms * grid.chunk_segments
    segments = 0
    for chunk, part in zip(chunks, frames, strict=True):
        assert {cell_of(track, pts, chunk_ms) for pts, _ in part} == {chunk.range.number}
        assert chunk.range.first_segment == segments
        cells = {cell_of(track, pts, grid.segment_ms) for pts, _ in part}
        assert chunk.range.segments == len(cells)
        segments += len(cells)
        assert chunk.bytes == chunk.path.stat().st_size


@pytest.mark.parametrize("name", SOURCES)
def test_the_schedules_of_all_chunks_join_without_a_hole(
    name: str, source: Source, tmp_path: Path
) -> None:
    track, grid, chunks, frames = chunks_of(source(name), tmp_path, 2500)
    timed = [
        frame
        for chunk, part in zip(chunks, frames, strict=True)
        for frame in schedule(track, grid, chunk.range, [pts for pts, _ in part])
    ]
    assert timed[0].tick == 0
    assert all(one.tick + one.duration_ticks == two.tick for one, two in pairwise(timed))
    assert timed[-1].tick + timed[-1].duration_ticks == tick_of(track, grid, track.end_pts)
    numbers = [frame.segment for frame in timed]
    assert sorted(set(numbers)) == list(range(sum(chunk.range.segments for chunk in chunks)))
    assert all(two.keyframe == (one.segment != two.segment) for one, two in pairwise(timed)), (
        "one keyframe a segment where both have one length"
    )


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("ntsc-29.97.mp4", Fraction(30_000, 1001)),
        ("film-23.976.mkv", Fraction(24_000, 1001)),
        ("smooth-59.94.mp4", Fraction(60_000, 1001)),
        ("offset.ts", Fraction(30_000, 1001)),
    ],
)
def test_a_constant_rate_gives_every_frame_the_same_ticks(
    name: str, rate: Fraction, source: Source, tmp_path: Path
) -> None:
    track, grid, chunks, frames = chunks_of(source(name), tmp_path, 1000)
    assert Fraction(track.rate_num, track.rate_den) == rate
    assert grid.timescale == rate.numerator
    durations = {
        frame.duration_ticks
        for chunk, part in zip(chunks, frames, strict=True)
        for frame in schedule(track, grid, chunk.range, [pts for pts, _ in part])
    }
    assert durations == {rate.denominator}


def test_an_empty_cell_joins_its_predecessor_and_makes_no_segment(
    source: Source, tmp_path: Path
) -> None:
    _, _, chunks, _ = chunks_of(source("stills.mkv"), tmp_path, 1000)
    assert [chunk.range.number for chunk in chunks] == [0, 4, 6, 13, 14, 17]
    assert [chunk.range.first_segment for chunk in chunks] == [0, 1, 2, 3, 4, 5]
    assert [chunk.range.next_pts for chunk in chunks[:-1]] == [4000, 6000, 13_000, 14_000, 17_500]


def test_a_chunk_of_several_segments_counts_only_cells_that_hold_a_frame(
    source: Source, tmp_path: Path
) -> None:
    path = source("stills.mkv")
    track = track_of(path)
    grid = replace(grid_of(track, segment_ms=1000, keyframe_ms=1000), chunk_segments=5)
    ranges = [chunk.range for chunk in cut(path, track, grid, tmp_path)]
    assert [(r.number, r.first_segment, r.segments) for r in ranges] == [
        (0, 0, 2), (1, 2, 1), (2, 3, 2), (3, 5, 1),
    ]  # fmt: skip


def test_what_an_edit_list_hides_is_in_the_file_but_not_in_the_video(
    source: Source, tmp_path: Path
) -> None:
    track, _, chunks, frames = chunks_of(source("edited.mp4"), tmp_path, 6000)
    assert track.frames == len(CLIPS["edited.mp4"].pts) - 39
    assert len(list(decoded(chunks[0].path))) > len(frames[0])
    assert frames[0][0][0] == track.start_pts == 0


def test_the_open_sources_are_open(source: Source) -> None:
    """A source that lost its leading pictures would make the exactness above worth nothing."""
    for name in ("open-h264.mkv", "open-hevc.mp4"):
        keys, leading = 0, 0
        key_pts = 0
        with av.open(str(source(name))) as container:
            for packet in container.demux(video=0):
                if packet.is_keyframe and packet.pts is not None:
                    keys, key_pts = keys + 1, packet.pts
                elif packet.pts is not None and packet.pts < key_pts:
                    leading += 1
        assert keys >= 5
        assert leading >= keys - 1


def test_a_recording_that_begins_in_an_open_gop_begins_at_its_keyframe(
    source: Source, tmp_path: Path
) -> None:
    """The leading pictures of the first keyframe refer to what is not there."""
    path = tmp_path / "tail.mkv"
    with av.open(str(source("open-h264.mkv"))) as original, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(original.streams.video[0])
        keys: list[int] = []
        for packet in original.demux(video=0):
            if packet.is_keyframe and packet.pts is not None:
                keys.append(packet.pts)
            if packet.size and len(keys) >= 3:
                packet.stream = stream
                output.mux(packet)
    track, _, chunks, frames = chunks_of(path, tmp_path, 1000)
    assert track.start_pts == frames[0][0][0] == keys[2]
    assert [chunk.range.frames for chunk in chunks] == [len(part) for part in frames]


def test_equal_input_gives_equal_bytes(source: Source, tmp_path: Path) -> None:
    runs = []
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        _, _, chunks, _ = chunks_of(source("closed-25.mp4"), tmp_path / run, 2500)
        runs.append([(chunk.range, chunk.path.read_bytes()) for chunk in chunks])
    assert runs[0] == runs[1]


def test_a_chunk_is_whole_as_soon_as_it_is_yielded(source: Source, tmp_path: Path) -> None:
    path = source("closed-25.mp4")
    track = track_of(path)
    grid = replace(grid_of(track, 1000, 1000), chunk_segments=1)
    chunks = cut(path, track, grid, tmp_path)
    first = next(chunks)
    assert len(kept(first, track)) == first.range.frames == 25
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]


def test_a_chunk_that_begins_at_a_keyframe_repeats_nothing(source: Source, tmp_path: Path) -> None:
    track, _, chunks, frames = chunks_of(source("closed-25.mp4"), tmp_path, 2000)
    for chunk, part in zip(chunks, frames, strict=True):
        first = next(decoded(chunk.path, Fraction(track.time_base_num, track.time_base_den)))
        assert first[0] - chunk.range.shift_pts == part[0][0]


def test_a_source_with_one_very_long_gop_is_a_single_chunk(
    made: Callable[[Clip], Path], tmp_path: Path
) -> None:
    pts: Sequence[int] = range(0, 40_000, 500)
    path = made(Clip("one-gop.mkv", pts, MS, gop=1000))
    track = track_of(path)
    ranges = [chunk.range for chunk in cut(path, track, grid_of(track), tmp_path)]
    assert [(r.segments, r.frames, r.hi_pts) for r in ranges] == [(7, 80, None)]


def test_a_source_that_is_not_what_was_probed_fails_instead_of_losing_frames(
    source: Source, tmp_path: Path
) -> None:
    track = track_of(source("closed-25.mp4"))
    more = replace(track, frames=track.frames + 1)
    with pytest.raises(MediaFailed) as failed:
        list(cut(source("closed-25.mp4"), more, grid_of(track), tmp_path))
    assert failed.value.code == "cut_failed"


def test_a_source_that_broke_since_it_was_probed_is_refused(source: Source, tmp_path: Path) -> None:
    track = track_of(source("closed-25.mp4"))
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    with pytest.raises(Refused):
        list(cut(broken, track, grid_of(track), tmp_path))
