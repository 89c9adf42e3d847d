"""The ladder: sizes, groups, grids and recipes of every shape of source (TRN-2, TRN-4, TRN-11)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.processors.ladder import BOXES, LadderPolicy, Planned, display_size, plan
from millrace.schemas.events import AudioTrack, VideoTrack
from tests.builders import make_video_track

SOURCE = "5e" * 32
TOOLCHAIN = "t00lchain"


def make_audio_track(**overrides: Any) -> AudioTrack:
    track = AudioTrack(
        stream_index=1,
        codec="aac",
        channels=2,
        sample_rate_hz=44_100,
        language="und",
        start_ms=0,
        duration_ms=20_010,
    )
    return replace(track, **overrides)


def planned(
    video: VideoTrack | None,
    audio: tuple[AudioTrack, ...] = (),
    source: str = SOURCE,
    toolchain: str = TOOLCHAIN,
    policy: LadderPolicy | None = None,
) -> Planned:
    return plan(video, audio, source, toolchain, policy or LadderPolicy())


def sizes(of: Planned) -> dict[str, tuple[int, int]]:
    return {rung.name: (rung.width, rung.height) for rung in of.rungs}


SD = {"240p": (426, 240), "360p": (640, 360), "480p": (854, 480)}
HD = {**SD, "720p": (1280, 720), "1080p": (1920, 1080)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param({}, HD, id="1080p gets its own box and all below"),
        pytest.param(
            {"width": 854, "height": 488},
            {"240p": (420, 240), "360p": (630, 360), "480p": (840, 480)},
            id="a height in whole macroblocks makes no larger rung",
        ),
        pytest.param(
            {"width": 7680, "height": 4320},
            {**HD, "1440p": (2560, 1440), "2160p": (3840, 2160)},
            id="8K is scaled into the largest box",
        ),
        pytest.param(
            {"height": 800},
            {
                "240p": (426, 178),
                "360p": (640, 266),
                "480p": (854, 356),
                "720p": (1280, 534),
                "1080p": (1920, 800),
            },
            id="wide film gets 1080p's box",
        ),
        pytest.param(
            {"width": 640, "height": 272},
            {"240p": (426, 182), "360p": (640, 272)},
            id="a picture that fills a box has no larger rung of the same pixels",
        ),
        pytest.param(
            {"rotation_deg": 90, "width": 1280, "height": 720},
            {"240p": (240, 426), "360p": (360, 640), "480p": (480, 854), "720p": (720, 1280)},
            id="rotated to portrait",
        ),
        pytest.param(
            {"width": 720, "height": 720},
            {"240p": (240, 240), "360p": (360, 360), "480p": (480, 480), "720p": (720, 720)},
            id="square",
        ),
        pytest.param(
            {"width": 720, "height": 576, "sar_num": 16, "sar_den": 15},
            {"240p": (320, 240), "360p": (480, 360), "480p": (640, 480), "720p": (768, 576)},
            id="PAL has wide pixels",
        ),
        pytest.param(
            {"width": 720, "height": 480, "sar_num": 8, "sar_den": 9},
            {"240p": (320, 240), "360p": (480, 360), "480p": (640, 480)},
            id="NTSC has narrow pixels",
        ),
        pytest.param(
            {"width": 641, "height": 363},
            {"240p": (424, 240), "360p": (636, 360)},
            id="a little over a box is scaled into it",
        ),
        pytest.param({"width": 101, "height": 77}, {"240p": (100, 76)}, id="small and odd"),
        pytest.param({"width": 427, "height": 3}, {"240p": (426, 2)}, id="a strip"),
    ],
)
def test_fits_the_picture_into_the_boxes(
    source: dict[str, int], expected: dict[str, tuple[int, int]]
) -> None:
    assert sizes(planned(make_video_track(**source))) == expected


@given(
    width=st.integers(2, 9_000),
    height=st.integers(2, 9_000),
    rotation_deg=st.sampled_from([0, 90, 180, 270]),
    sar=st.tuples(st.integers(1, 64), st.integers(1, 64)),
)
def test_every_rung_is_even_within_its_box_and_never_above_the_source(
    width: int, height: int, rotation_deg: int, sar: tuple[int, int]
) -> None:
    track = make_video_track(
        width=width, height=height, rotation_deg=rotation_deg, sar_num=sar[0], sar_den=sar[1]
    )
    shown = display_size(track)
    rungs = planned(track).rungs
    assert [rung.name for rung in rungs] == [box.name for box in BOXES[: len(rungs)]]
    for rung, box in zip(rungs, BOXES, strict=False):
        assert rung.width % 2 == rung.height % 2 == 0
        assert 2 <= rung.width <= max(2, shown[0])
        assert 2 <= rung.height <= max(2, shown[1])
        assert max(rung.width, rung.height) <= box.width
        assert min(rung.width, rung.height) <= box.height


def test_the_lowest_rung_is_a_pass_of_its_own_and_a_short_video_has_one_group() -> None:
    long = planned(make_video_track(end_pts=12_000))
    short = planned(make_video_track(end_pts=11_999))
    assert [rung.group for rung in long.rungs] == [0, 1, 1, 1, 1]
    assert [rung.group for rung in short.rungs] == [0, 0, 0, 0, 0]


def test_the_policy_bounds_height_names_the_preset_and_prices_the_first_pass() -> None:
    policy = LadderPolicy(preset="medium", height_max=480, first_pass_min_ms=60_000)
    rungs = planned(make_video_track(), policy=policy).rungs
    assert [(rung.name, rung.preset, rung.group) for rung in rungs] == [
        ("240p", "medium", 0),
        ("360p", "medium", 0),
        ("480p", "medium", 0),
    ]


@pytest.mark.parametrize(
    ("rate", "constant", "timescale"),
    [
        ((25, 1), True, 25_000),
        ((30, 1), True, 30_000),
        ((24_000, 1_001), True, 24_000),
        ((30_000, 1_001), True, 30_000),
        ((60_000, 1_001), True, 60_000),
        ((15, 2), True, 15_000),
        ((30_000, 1_001), False, 90_000),
    ],
)
def test_ticks_are_fine_enough_for_every_frame_to_last_a_whole_number(
    rate: tuple[int, int], constant: bool, timescale: int
) -> None:
    track = make_video_track(rate_num=rate[0], rate_den=rate[1], constant_rate=constant)
    grid = planned(track).grid
    assert (grid.timescale, grid.segment_ms, grid.keyframe_ms) == (timescale, 6_000, 2_000)
    assert not constant or grid.timescale * rate[1] % rate[0] == 0


@pytest.mark.parametrize(
    ("gop_ms", "minutes", "chunk_segments"),
    [(2_000, 10, 1), (4_000, 10, 2), (10_000, 10, 4), (10_000, 1, 1), (31_000, 10, 100)],
)
def test_chunks_grow_with_gops_while_enough_of_them_remain(
    gop_ms: int, minutes: int, chunk_segments: int
) -> None:
    track = make_video_track(gop_ms_max=gop_ms, end_pts=minutes * 60_000)
    assert planned(track).grid.chunk_segments == chunk_segments


def test_peaks_and_buffers_rise_with_the_rung_and_with_high_frame_rates() -> None:
    rungs = planned(make_video_track(width=3840, height=2160)).rungs
    fast = planned(make_video_track(width=3840, height=2160, rate_num=50)).rungs
    peaks_bps = [rung.maxrate_bps for rung in rungs]
    assert peaks_bps == sorted(set(peaks_bps))
    assert [rung.bufsize_bits for rung in rungs] == [2 * peak for peak in peaks_bps]
    assert [rung.maxrate_bps for rung in fast] == [peak * 3 // 2 for peak in peaks_bps]


def recipes(of: Planned) -> dict[str, str]:
    return {rung.name: rung.recipe for rung in of.rungs} | {a.name: a.recipe for a in of.audio}


def test_equal_inputs_have_equal_recipes_and_every_rung_its_own() -> None:
    first = recipes(planned(make_video_track(), (make_audio_track(),)))
    assert first == recipes(planned(make_video_track(), (make_audio_track(),)))
    assert len(set(first.values())) == 6


def test_whatever_changes_the_output_changes_the_recipe() -> None:
    track, sound = make_video_track(), (make_audio_track(),)
    plain = recipes(planned(track, sound))
    others = {
        "source": planned(track, sound, source="00" * 32),
        "toolchain": planned(track, sound, toolchain="newer"),
        "trim": planned(replace(track, start_pts=40), sound),
    }
    for name, other in others.items():
        assert not set(recipes(other).values()) & set(plain.values()), name
    pictures = {
        "preset": planned(track, sound, policy=LadderPolicy(preset="medium")),
        "colour": planned(replace(track, color_transfer="smpte2084"), sound),
        "interlaced": planned(replace(track, field_order="tt"), sound),
        "chunks": planned(replace(track, gop_ms_max=31_000), sound),
        "rate": planned(replace(track, rate_num=24), sound),
    }
    for name, other in pictures.items():
        changed = recipes(other)
        assert changed.pop("audio-128") == plain["audio-128"], name
        assert not set(changed.values()) & set(plain.values()), name


def test_a_ladder_that_loses_its_top_leaves_the_other_recipes_alone() -> None:
    whole = recipes(planned(make_video_track()))
    lower = recipes(planned(make_video_track(), policy=LadderPolicy(height_max=480)))
    assert lower == {name: whole[name] for name in ("240p", "360p", "480p")}


def test_a_pass_of_its_own_is_another_recipe_for_it_skips_the_loop_filter() -> None:
    own = recipes(planned(make_video_track()))
    shared = recipes(planned(make_video_track(), policy=LadderPolicy(first_pass_min_ms=60_000)))
    assert own.pop("240p") != shared.pop("240p")
    assert own == shared


def test_mono_costs_half_and_sound_alone_has_its_own_timeline() -> None:
    of = planned(None, (make_audio_track(channels=1), make_audio_track(stream_index=2)))
    assert of.rungs == ()
    assert (of.grid.timescale, of.grid.chunk_segments, of.duration_ms) == (48_000, 1, 20_010)
    assert [(one.name, one.bitrate_bps) for one in of.audio] == [("audio-64", 64_000)]
    beside = planned(make_video_track(), (make_audio_track(channels=6),))
    assert [(one.name, one.bitrate_bps) for one in beside.audio] == [("audio-128", 128_000)]
    assert beside.duration_ms == 20_000


def test_a_source_without_tracks_is_a_bug_of_the_caller() -> None:
    with pytest.raises(AssertionError):
        planned(None)
