"""The timeline of a video as exact arithmetic: ticks, grid cells, joints and the rate cap.

Everything that is said about where a frame belongs is said here, once, in integers, so that the
cutter, the encoder and the tests agree to the last tick. It must never touch a file, use a float
or ask a library what it thinks about time.

Zero is the first shown frame. A timestamp (`pts`) is always the source's own, in the time base of
the track, without the shift that chunk files carry. A source of constant rate is placed by frame
index, not by its timestamps: containers round those (Matroska to 1 ms), and at 1/90000 23.976 and
59.94 fps wander by one tick a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from millrace.schemas.events import ChunkRange, Grid, VideoTrack

RATE_MAX_FPS = 60
"""Frames a second of every output at most; sources above it are thinned (ING-8)."""

TIMESCALE_VARIABLE = 90_000
"""Ticks a second where the rate is not constant; divisible by every common integer rate."""

TIMESCALE_MIN = 10_000
"""FFmpeg's mp4 muxer doubles any timescale below this one behind its caller's back."""

GOP_MS_MAX = 30_000
"""Above this the head of a GOP is repeated too often: the source stays one chunk (TRN-2)."""

CHUNK_SEGMENTS_MAX = 4
"""A chunk is one to four segments (TRN-2)."""

CHUNKS_WANTED = 8
"""A short source gets chunks of one segment until it has this many, so that cores have work."""


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """One frame of the output: where it comes from and where it goes.

    `pts` is the source's timestamp, `tick` and `duration_ticks` are in the grid's timescale,
    `segment` is the number of its segment, `keyframe` says that it must be an IDR frame.
    """

    pts: int
    tick: int
    duration_ticks: int
    segment: int
    keyframe: bool


def _divide_up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def _divide_round(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def timescale_of(track: VideoTrack) -> int:
    """Ticks a second of the output: the rate's numerator where the rate is constant, else 90000.

    A numerator below 10000 (25 fps) is taken ten times until it is not, which changes nothing in
    exactness and keeps FFmpeg's muxer from doubling it.
    """
    if not track.constant_rate:
        return TIMESCALE_VARIABLE
    timescale = track.rate_num
    while timescale < TIMESCALE_MIN:
        timescale *= 10
    return timescale


def grid_of(track: VideoTrack, segment_ms: int = 6000, keyframe_ms: int = 2000) -> Grid:
    """The grid that suits a track: the longer its GOPs, the longer its chunks.

    Each chunk repeats the head of a GOP, half a GOP in the mean: 6 s chunks of 10 s GOPs carry
    67 % more packets, 24 s chunks 17 % (measured). A chunk is therefore about three GOPs, but a
    short source is cut finely all the same, since decoding is only an eighth of the work. A GOP
    over 30 s makes the whole source one chunk.
    """
    duration = (track.end_pts - track.start_pts) * track.time_base_num * 1000
    segments = max(1, _divide_up(duration, track.time_base_den * segment_ms))
    if track.gop_ms_max > GOP_MS_MAX:
        chunk_segments = segments
    else:
        by_gop = max(1, 3 * track.gop_ms_max // segment_ms)
        by_length = max(1, segments // CHUNKS_WANTED)
        chunk_segments = min(CHUNK_SEGMENTS_MAX, by_gop, by_length)
    return Grid(
        timescale=timescale_of(track),
        segment_ms=segment_ms,
        keyframe_ms=keyframe_ms,
        chunk_segments=chunk_segments,
    )


def frame_index(track: VideoTrack, pts: int) -> int:
    """Index of the frame at `pts` in a track of constant rate, from 0 at the first shown frame."""
    assert track.constant_rate, "only a constant rate gives a frame an index by its time"
    return _divide_round(
        (pts - track.start_pts) * track.time_base_num * track.rate_num,
        track.time_base_den * track.rate_den,
    )


def tick_of(track: VideoTrack, grid: Grid, pts: int) -> int:
    """Place of `pts` on the output's timeline, in ticks of the grid's timescale."""
    if track.constant_rate:
        assert grid.timescale % track.rate_num == 0, "grid was not made for this track"
        return frame_index(track, pts) * track.rate_den * (grid.timescale // track.rate_num)
    return _variable_tick(track, pts, grid.timescale)


def _variable_tick(track: VideoTrack, pts: int, timescale: int) -> int:
    """The tick nearest to `pts`, by its timestamp."""
    elapsed = (pts - track.start_pts) * track.time_base_num
    return _divide_round(elapsed * timescale, track.time_base_den)


def cell_of(track: VideoTrack, pts: int, cell_ms: int) -> int:
    """Number of the cell of `cell_ms` that `pts` falls in, by the exact rational instant.

    That of its tick where the rate is not constant: frames on one tick share their cells.
    """
    if track.constant_rate:
        elapsed = frame_index(track, pts) * track.rate_den
        return elapsed * 1000 // (track.rate_num * cell_ms)
    return _variable_tick(track, pts, TIMESCALE_VARIABLE) * 1000 // (TIMESCALE_VARIABLE * cell_ms)


def chunk_of(track: VideoTrack, grid: Grid, pts: int) -> int:
    """Number of the grid's chunk that the frame at `pts` belongs to."""
    return cell_of(track, pts, grid.segment_ms * grid.chunk_segments)


def chunk_start_pts(track: VideoTrack, grid: Grid, number: int) -> int:
    """First timestamp that belongs to chunk `number`: every frame of it is at or after this.

    The border lies half a frame before the chunk's first frame, out of reach of a container's
    rounding; half a tick where the rate is not constant.
    """
    if number == 0:
        return track.start_pts
    border_ms = number * grid.segment_ms * grid.chunk_segments
    if not track.constant_rate:
        tick = _divide_up(border_ms * TIMESCALE_VARIABLE, 1000)
        return track.start_pts + _divide_up(
            (2 * tick - 1) * track.time_base_den, 2 * TIMESCALE_VARIABLE * track.time_base_num
        )
    first = _divide_up(border_ms * track.rate_num, 1000 * track.rate_den)
    return track.start_pts + _divide_up(
        (2 * first - 1) * track.rate_den * track.time_base_den,
        2 * track.rate_num * track.time_base_num,
    )


def segments_in(track: VideoTrack, grid: Grid, shown: Sequence[int]) -> int:
    """How many cells of the segment grid hold a frame of `shown`, hence segments to make."""
    return len({cell_of(track, pts, grid.segment_ms) for pts in shown})


def _kept_of(track: VideoTrack, count: int) -> list[int]:
    """Which of a segment's `count` frames the rate cap keeps, as indices from 0.

    Every second (third, ...) frame where that leaves at least 45 a second, so that motion stays
    even (120, 119.88, 100, 144 fps); else frames are dropped evenly down to 60. The count starts
    anew in each segment, so the first frame of a segment is always kept: the joint between two
    chunks needs to know no frame but the next one.
    """
    rate, per = track.rate_num, track.rate_den
    if rate <= RATE_MAX_FPS * per:
        return list(range(count))
    step = _divide_up(rate, RATE_MAX_FPS * per)
    if rate >= 45 * step * per:
        return list(range(0, count, step))
    wanted = RATE_MAX_FPS * per
    return [i for i in range(count) if i == 0 or i * wanted // rate != (i - 1) * wanted // rate]


def _kept(
    track: VideoTrack, grid: Grid, first_segment: int, shown: Sequence[int]
) -> list[tuple[int, int]]:
    """(segment, pts) of the frames of `shown` that are encoded."""
    members: dict[int, list[int]] = {}
    for pts in shown:
        members.setdefault(cell_of(track, pts, grid.segment_ms), []).append(pts)
    return [
        (segment, frames[index])
        for segment, frames in enumerate(members.values(), first_segment)
        for index in _kept_of(track, len(frames))
    ]


def _seen(track: VideoTrack, grid: Grid, borders: Sequence[int]) -> list[int]:
    """The timestamps that last until a later tick; the last of `borders` is the joint.

    Of frames on one tick the last one stays. They share their cells, so no segment loses all its
    frames, and no two of them lie in two chunks.
    """
    ticks = [tick_of(track, grid, pts) for pts in borders]
    pairs = zip(borders, pairwise(ticks), strict=False)
    return [pts for pts, (tick, tick_next) in pairs if tick < tick_next]


def schedule(
    track: VideoTrack, grid: Grid, chunk: ChunkRange, shown: Sequence[int]
) -> tuple[TimedFrame, ...]:
    """What must be encoded of a chunk, frame by frame.

    `shown` are the strictly ascending timestamps of the frames that the source shows in the chunk,
    all of them (`chunk.frames`). A frame that is missing from the result is dropped by the rate
    cap, or lies on the tick of the next one, which hides it within 11 us. Segments are numbered on
    from `chunk.first_segment` without a gap: a cell of the grid that holds no frame makes no
    segment, and its time is the last frame's before it. The durations have no hole: tick +
    duration is the next frame's tick, and the last frame lasts to the tick of `chunk.next_pts`. A
    keyframe is due at the first frame of each segment and of each cell of `keyframe_ms`.
    """
    assert all(one < two for one, two in pairwise(shown)), "shown must be strictly ascending"
    seen = _seen(track, grid, [*shown, chunk.next_pts])
    kept = _kept(track, grid, chunk.first_segment, seen)
    ticks = [tick_of(track, grid, pts) for _, pts in kept]
    ticks.append(tick_of(track, grid, chunk.next_pts))
    frames = []
    place_before = None
    for (segment, pts), (tick, tick_next) in zip(kept, pairwise(ticks), strict=True):
        assert tick < tick_next, "the last frame ends after it begins"
        place = (segment, cell_of(track, pts, grid.keyframe_ms))
        frames.append(TimedFrame(pts, tick, tick_next - tick, segment, place != place_before))
        place_before = place
    return tuple(frames)
