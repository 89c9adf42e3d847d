"""A video's whole set of playlists: while it grows, when it is finished, and for sound alone."""

import hashlib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from millrace.processors import runs
from millrace.processors.playlists import dash, hls
from millrace.processors.playlists.errors import PlaylistError
from millrace.processors.playlists.hls import MediaPlaylist
from millrace.processors.playlists.package import Package, package
from millrace.schemas.events import PlaylistRendition, SegmentRun
from tests.processors.playlists.renditions import GRID, LADDER, NTSC_RUNS, make_rung, make_sound

SOUND = make_sound(language="en")


def finished(
    video: tuple[PlaylistRendition, ...] = LADDER, audio: tuple[PlaylistRendition, ...] = (SOUND,)
) -> Package:
    return package(GRID, video, audio, final=True, sequence=9)


def growing(
    video: tuple[PlaylistRendition, ...] = LADDER[:1],
    audio: tuple[PlaylistRendition, ...] = (SOUND,),
    sequence: int = 4,
) -> Package:
    return package(GRID, video, audio, final=False, sequence=sequence)


def media_of(texts: dict[str, str], name: str) -> MediaPlaylist:
    """The media playlist of a rendition, found as a player does: through the master playlist."""
    master_name = next(path for path in texts if path.startswith("master"))
    master = hls.read_master(texts[master_name])
    uris = [variant.uri for variant in master.variants] + [a.uri or "" for a in master.audio]
    (uri,) = [uri for uri in uris if uri.startswith(name)]
    return hls.read_media(texts[uri])


def test_a_finished_video_is_named_by_what_its_playlists_say() -> None:
    files = finished().finished
    assert {name.rpartition("-")[0] for name in files} == {
        "240p",
        "480p",
        "audio-128",
        "master",
        "manifest",
    }
    for name, text in files.items():
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        assert name.rpartition("-")[2].partition(".")[0] == digest
    assert finished().hls_name in files
    assert finished().dash_name in files


def test_another_writing_of_the_same_finished_video_changes_no_finished_playlist() -> None:
    again = package(GRID, LADDER, (SOUND,), final=True, sequence=10)
    assert again.finished == finished().finished
    assert (again.hls_name, again.dash_name) == (finished().hls_name, finished().dash_name)


def test_every_playlist_comes_after_the_ones_it_names() -> None:
    for texts in (finished().finished, growing().growing):
        seen: set[str] = set()
        for name, text in texts.items():
            named = {line for line in text.splitlines() if line.endswith(".m3u8")}
            assert named <= seen
            seen.add(name)


def test_the_finished_master_offers_the_pictures_with_the_sound_beside_them() -> None:
    of = finished()
    master = hls.read_master(of.finished[of.hls_name])
    assert [
        (variant.bandwidth_bps, variant.average_bps, variant.codecs, variant.resolution)
        for variant in master.variants
    ] == [
        (530_000, 428_000, ("avc1.640015", "mp4a.40.2"), (426, 240)),
        (1_630_000, 1_228_000, ("avc1.64001f", "mp4a.40.2"), (854, 480)),
    ]
    assert [variant.frame_rate_hz for variant in master.variants] == [Decimal("29.970")] * 2
    assert [variant.audio_group for variant in master.variants] == ["audio", "audio"]
    (audio,) = master.audio
    assert (audio.language, audio.default, audio.autoselect, audio.channels) == (
        "en",
        True,
        True,
        "2",
    )
    assert master.header.independent_segments
    assert master.header.sequence is None


def test_a_finished_media_playlist_lists_every_segment_and_ends() -> None:
    media = media_of(finished().finished, "480p")
    assert (media.kind, media.ended, media.target_duration_s) == ("VOD", True, 6)
    assert media.map_uri == "480p/1111111111111111/init.mp4"
    assert [segment.uri for segment in media.segments] == [
        f"480p/1111111111111111/{number}.m4s" for number in range(5)
    ]
    assert [segment.duration_s for segment in media.segments] == [Decimal("6.006")] * 4 + [
        Decimal("3.003")
    ]


def test_a_growing_video_has_fixed_names_that_carry_the_number_of_their_writing() -> None:
    of = growing(sequence=7)
    assert (of.finished, of.hls_name, of.dash_name) == ({}, "master.m3u8", "")
    assert list(of.growing) == ["240p.m3u8", "audio-128.m3u8", "master.m3u8"]
    assert hls.read_master(of.growing["master.m3u8"]).header.sequence == 7
    assert hls.read_media(of.growing["240p.m3u8"]).header.sequence == 7


def test_a_growing_playlist_plays_from_its_beginning_and_only_ever_gets_longer() -> None:
    shorter = make_rung(runs=(SegmentRun(2, 180_180),))
    first = media_of(growing((shorter,)).growing, "240p")
    second = media_of(growing().growing, "240p")
    assert (first.kind, first.ended) == ("EVENT", False)
    assert first.header.start_s == 0
    assert second.segments[:2] == first.segments
    assert second.target_duration_s == first.target_duration_s == 6


def test_a_growing_playlist_announces_the_grid_while_its_segments_are_still_shorter() -> None:
    short = make_rung(runs=(SegmentRun(1, 90_090),))
    assert media_of(growing((short,)).growing, "240p").target_duration_s == 6
    assert media_of(finished((short,)).finished, "240p").target_duration_s == 3


@pytest.mark.parametrize(("ticks", "bound_s"), [(6_499, 6), (6_500, 7), (7_499, 7)])
def test_the_bound_is_the_longest_segment_to_the_nearest_second(ticks: int, bound_s: int) -> None:
    rung = make_rung(runs=(SegmentRun(1, ticks), SegmentRun(1, 6_000)), timescale=1_000)
    assert media_of(finished((rung,)).finished, "240p").target_duration_s == bound_s


def test_growing_sound_goes_no_further_than_the_picture() -> None:
    one = make_rung(runs=(SegmentRun(1, 180_180),))
    of = growing((one,)).growing
    assert len(media_of(of, "240p").segments) == 1
    # 281 frames of AAC end at 5.995 s, before the picture's 6.006 s: the next one is needed.
    assert len(media_of(of, "audio-128").segments) == 2
    assert len(media_of(growing().growing, "audio-128").segments) == 5


def test_a_player_that_began_while_the_video_grew_is_told_that_it_has_ended() -> None:
    of = finished()
    playing = hls.read_media(of.growing["240p.m3u8"])
    before = hls.read_media(growing().growing["240p.m3u8"])
    assert playing.ended
    assert (playing.header.sequence, playing.kind) == (9, "EVENT")
    assert playing.segments[: len(before.segments)] == before.segments
    latecomer = hls.read_master(of.growing["master.m3u8"])
    assert latecomer.variants == hls.read_master(of.finished[of.hls_name]).variants


def test_sound_alone_is_a_variant_of_its_own() -> None:
    of = finished(video=())
    master = hls.read_master(of.finished[of.hls_name])
    (variant,) = master.variants
    assert (variant.bandwidth_bps, variant.codecs, variant.resolution) == (
        130_000,
        ("mp4a.40.2",),
        None,
    )
    assert (master.audio, variant.audio_group, variant.frame_rate_hz) == ((), None, None)
    manifest = dash.read(of.finished[of.dash_name])
    assert [one.content_type for one in manifest.sets] == ["audio"]
    assert len(media_of(growing(video=()).growing, "audio-128").segments) == 5


def test_several_sounds_are_told_apart_and_the_dearest_is_reckoned() -> None:
    german = make_sound(name="audio-192", language="de", bandwidth_bps=200_000)
    for video in (LADDER, ()):
        of = finished(video, (SOUND, german))
        master = hls.read_master(of.finished[of.hls_name])
        assert [(one.language, one.default) for one in master.audio] == [
            ("en", True),
            ("de", False),
        ]
        assert len({one.name for one in master.audio}) == 2
        expected_bps = 600_000 if video else 130_000
        assert master.variants[0].bandwidth_bps == expected_bps
        assert master.variants[0].audio_group == "audio"


def test_a_picture_without_sound_has_no_audio_group() -> None:
    master = hls.read_master(growing(audio=()).growing["master.m3u8"])
    assert master.audio == ()
    assert master.variants[0].audio_group is None
    assert master.variants[0].codecs == ("avc1.640015",)
    assert master.variants[0].bandwidth_bps == 400_000


@pytest.mark.parametrize("language", ["und", "", 'e"n', "a language", "d\u00e9"])
def test_what_is_no_language_is_not_said(language: str) -> None:
    of = finished(audio=(make_sound(language=language),))
    assert hls.read_master(of.finished[of.hls_name]).audio[0].language is None
    assert dash.read(of.finished[of.dash_name]).sets[1].language is None


def test_the_manifest_says_the_exact_ticks_of_each_set() -> None:
    of = finished()
    video, audio = dash.read(of.finished[of.dash_name]).sets
    assert (video.timescale, video.runs) == (30_000, NTSC_RUNS)
    assert (audio.timescale, audio.runs) == (48_000, SOUND.runs)
    assert [one.frame_rate for one in video.representations] == [Fraction(30_000, 1_001)] * 2
    assert [one.base_url for one in video.representations] == [
        "240p/0123456789abcdef/",
        "480p/1111111111111111/",
    ]


def test_the_manifest_lasts_until_the_last_set_ends() -> None:
    of = finished(audio=(make_sound(runs=(SegmentRun(1, 1_300_001),)),))
    manifest = dash.read(of.finished[of.dash_name])
    assert manifest.duration_s == Decimal("27.083355")


def test_finished_rungs_whose_timelines_differ_are_refused() -> None:
    with pytest.raises(PlaylistError, match="differ in their timeline"):
        finished((LADDER[0], make_rung(name="480p", runs=(SegmentRun(5, 180_180),))))


def test_a_rendition_without_a_segment_is_a_bug_of_the_caller() -> None:
    with pytest.raises(AssertionError):
        growing((make_rung(runs=()),))


@given(
    st.lists(st.builds(SegmentRun, st.integers(1, 50), st.integers(1, 900_000)), min_size=1),
    st.sampled_from([24_000, 25_000, 30_000, 60_000, 90_000]),
)
def test_lengths_in_seconds_never_drift_from_the_ticks(
    durations: list[SegmentRun], timescale: int
) -> None:
    rung = make_rung(runs=tuple(durations), timescale=timescale)
    media = media_of(finished((rung,), ()).finished, "240p")
    ticks, shown_s = 0, Decimal(0)
    for segment, duration_ticks in zip(
        media.segments,
        [run.duration_ticks for run in durations for _ in range(run.count)],
        strict=True,
    ):
        ticks += duration_ticks
        shown_s += segment.duration_s
        assert abs(Fraction(shown_s) - Fraction(ticks, timescale)) <= Fraction(1, 2_000_000)
        assert hls.rounded_s(segment.duration_s) <= media.target_duration_s


@given(st.integers(1, 30), st.integers(1, 300_000), st.integers(1, 40), st.integers(1, 300_000))
def test_growing_sound_covers_the_picture_with_no_segment_to_spare(
    count: int, ticks: int, sound_count: int, sound_ticks: int
) -> None:
    rung = make_rung(runs=(SegmentRun(count, ticks),))
    sound = make_sound(runs=(SegmentRun(sound_count, sound_ticks), SegmentRun(1, 1_000)))
    shown = len(media_of(growing((rung,), (sound,)).growing, "audio-128").segments)
    end_s = Fraction(count * ticks, rung.timescale)
    before_s = Fraction(runs.total_ticks(runs.take(sound.runs, shown - 1)), sound.timescale)
    until_s = Fraction(runs.total_ticks(runs.take(sound.runs, shown)), sound.timescale)
    assert shown == 1 or before_s < end_s
    assert until_s >= end_s or shown == sound_count + 1


def test_an_independent_reader_finds_its_way_from_the_master_to_every_segment() -> None:
    for of, texts in ((finished(), finished().finished), (growing(), growing().growing)):
        master = m3u8.loads(texts[of.hls_name], uri="http://host/s/token/videos/v/")
        uris = [one.uri for one in master.playlists] + [one.uri for one in master.media]
        assert uris
        for uri in uris:
            media = m3u8.loads(texts[uri], uri="http://host/s/token/videos/v/")
            assert [one.uri.rpartition("/")[2] for one in media.segments] == [
                f"{number}.m4s" for number in range(5)
            ]
            assert media.segments[0].absolute_uri.startswith("http://host/s/token/videos/v/")
            assert max(round(one.duration) for one in media.segments) <= media.target_duration


def test_manifests_follow_the_standard() -> None:
    schema = etree.XMLSchema(etree.parse(Path(__file__).with_name("mpd_subset.xsd")))
    for of in (finished(), finished(video=()), finished(audio=())):
        schema.assertValid(etree.fromstring(of.finished[of.dash_name].encode()))


def test_a_growing_list_ends_when_its_rung_is_complete_and_the_sound_with_it() -> None:
    whole = make_rung(complete=True)
    made = growing((whole,))
    for name in (f"{whole.name}.m3u8", f"{SOUND.name}.m3u8"):
        assert hls.read_media(made.growing[name]).ended
    grows = growing((make_rung(),))
    for text in grows.growing.values():
        assert "#EXT-X-ENDLIST" not in text
