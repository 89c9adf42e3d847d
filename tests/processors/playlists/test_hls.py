"""HLS text to values and back: tables, properties, damage, and an independent reader."""

from decimal import Decimal

import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.processors.playlists import hls
from millrace.processors.playlists.errors import PlaylistError
from millrace.processors.playlists.hls import (
    AudioMedia,
    MasterPlaylist,
    MediaPlaylist,
    Segment,
    Variant,
)
from millrace.processors.playlists.lines import Header

MEDIA_TEXT = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-START:TIME-OFFSET=0
#EXT-X-MILLRACE-SEQUENCE:3
#EXT-X-TARGETDURATION:6
#EXT-X-PLAYLIST-TYPE:EVENT
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-MAP:URI="480p/ab/init.mp4"
#EXTINF:6.006000,
480p/ab/0.m4s
#EXTINF:3.003000,
480p/ab/1.m4s
#EXT-X-ENDLIST
"""
MEDIA = MediaPlaylist(
    header=Header(7, True, Decimal(0), 3),
    target_duration_s=6,
    kind="EVENT",
    media_sequence=0,
    map_uri="480p/ab/init.mp4",
    segments=(
        Segment(Decimal("6.006"), "480p/ab/0.m4s"),
        Segment(Decimal("3.003"), "480p/ab/1.m4s"),
    ),
    ended=True,
)
MASTER_TEXT = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="en (audio-128)",LANGUAGE="en",DEFAULT=YES,\
AUTOSELECT=YES,CHANNELS="2",URI="audio-128.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=530000,AVERAGE-BANDWIDTH=428000,CODECS="avc1.640015,mp4a.40.2",\
RESOLUTION=426x240,FRAME-RATE=29.970,AUDIO="audio"
240p.m3u8
"""
MASTER = MasterPlaylist(
    header=Header(7, True, None, None),
    audio=(AudioMedia("audio", "en (audio-128)", "en", True, True, "2", "audio-128.m3u8"),),
    variants=(
        Variant(
            bandwidth_bps=530_000,
            average_bps=428_000,
            codecs=("avc1.640015", "mp4a.40.2"),
            resolution=(426, 240),
            frame_rate_hz=Decimal("29.970"),
            audio_group="audio",
            uri="240p.m3u8",
        ),
    ),
)


def test_media_playlists_are_the_same_both_ways() -> None:
    assert hls.write_media(MEDIA) == MEDIA_TEXT
    assert hls.read_media(MEDIA_TEXT) == MEDIA


def test_master_playlists_are_the_same_both_ways() -> None:
    assert hls.write_master(MASTER) == MASTER_TEXT
    assert hls.read_master(MASTER_TEXT) == MASTER


def test_line_ends_comments_and_unknown_tags_change_nothing() -> None:
    noisy = MEDIA_TEXT.replace("\n", "\r\n").replace(
        "#EXTINF:3", "# made by hand\r\n\r\n#EXT-X-FUTURE:A=1\r\n#EXTINF:3"
    )
    assert hls.read_media(noisy) == MEDIA


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("#EXTM3U\n", "", 1, "begins with #EXTM3U"),
        ("VERSION:7", "VERSION:seven", 2, "whole number"),
        ("VERSION:7", "VERSION:\u0667", 2, "whole number"),
        ("TIME-OFFSET=0", "PRECISE=YES", 4, "TIME-OFFSET is missing"),
        ("SEQUENCE:3", "SEQUENCE:-3", 5, "whole number"),
        ("DURATION:6", "DURATION:5", 10, "over #EXT-X-TARGETDURATION"),
        ("#EXT-X-TARGETDURATION:6\n", "", 0, "TARGETDURATION is missing"),
        ("TYPE:EVENT", "TYPE:LIVE", 7, "EVENT or VOD"),
        ("SEQUENCE:0", "SEQUENCE:99999999999999999999", 8, "whole number"),
        ('"480p/ab/init.mp4"', "init.mp4", 9, "must be quoted"),
        ('"480p/ab/init.mp4"', '"init.mp4', 9, "not an attribute"),
        ('URI="480p/ab/init.mp4"', 'URI="a",URI="b"', 9, "said twice"),
        ('URI="480p/ab/init.mp4"', 'URI="a",BYTERANGE="9@0"', 9, "BYTERANGE"),
        ("EXTINF:6.006000", "EXTINF:nan", 10, "decimal number"),
        ("EXTINF:6.006000", "EXTINF:6e9", 10, "decimal number"),
        ("#EXTINF:6.006000,\n", "", 10, "without #EXTINF"),
        ("480p/ab/0.m4s\n", "", 10, "no address"),
        ("480p/ab/1.m4s\n", "", 12, "no address"),
        ("480p/ab/0.m4s", "a\rb", 11, "carriage return"),
        ("#EXT-X-ENDLIST", "#EXT-X-ENDLIST\n#EXT-X-ENDLIST", 15, "said twice"),
        ("#EXTINF:3", "#EXT-X-DISCONTINUITY\n#EXTINF:3", 12, "not read here"),
        ("#EXT-X-ENDLIST", "#EXT-X-STREAM-INF:BANDWIDTH=1", 14, "a master playlist"),
    ],
)
def test_says_in_which_line_of_a_media_playlist_what_is_wrong(
    old: str, new: str, line: int, words: str
) -> None:
    assert old in MEDIA_TEXT
    with pytest.raises(PlaylistError) as error:
        hls.read_media(MEDIA_TEXT.replace(old, new, 1))
    assert words in error.value.text
    assert error.value.line == line
    assert (f"line {line}: " in str(error.value)) == (line > 0)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("#EXTM3U", "#EXTM3U8", 1, "begins with #EXTM3U"),
        ("TYPE=AUDIO,", "", 4, "TYPE is missing"),
        ('GROUP-ID="audio",', "", 4, "GROUP-ID is missing"),
        ("DEFAULT=YES", "DEFAULT=MAYBE", 4, "YES or NO"),
        ("BANDWIDTH=530000,", "", 5, "BANDWIDTH is missing"),
        ("BANDWIDTH=530000", "BANDWIDTH=1.5", 5, "whole number"),
        ("426x240", "426*240", 5, "WIDTHxHEIGHT"),
        ("29.970", "fast", 5, "decimal number"),
        ('AUDIO="audio"\n', 'AUDIO="sound"\n', 5, "names no #EXT-X-MEDIA"),
        ('AUDIO="audio"\n', 'AUDIO="audio",\n', 5, "an attribute is missing"),
        ("240p.m3u8\n", "", 5, "no address"),
        ("240p.m3u8\n", "240p.m3u8\n360p.m3u8\n", 7, "without #EXT-X-STREAM-INF"),
        ("240p.m3u8", "#EXTINF:6,\n0.m4s", 6, "a media playlist"),
    ],
)
def test_says_in_which_line_of_a_master_playlist_what_is_wrong(
    old: str, new: str, line: int, words: str
) -> None:
    assert old in MASTER_TEXT
    with pytest.raises(PlaylistError) as error:
        hls.read_master(MASTER_TEXT.replace(old, new, 1))
    assert words in error.value.text
    assert error.value.line == line


def test_finer_decimals_are_rounded_before_anything_is_made_of_them() -> None:
    finer = MEDIA_TEXT.replace("EXTINF:3.003000", "EXTINF:6.4999995001")
    with pytest.raises(PlaylistError, match="over #EXT-X-TARGETDURATION"):
        hls.read_media(finer)
    longer = hls.read_media(finer.replace("DURATION:6", "DURATION:7"))
    assert longer.segments[1].duration_s == Decimal("6.5")
    assert hls.read_media(hls.write_media(longer)) == longer


@pytest.mark.parametrize("uri", ["", "#0.m4s", "a\nb", "a\rb"])
def test_refuses_to_write_an_address_that_would_be_read_as_something_else(uri: str) -> None:
    with pytest.raises(PlaylistError):
        hls.write_media(
            MediaPlaylist(MEDIA.header, 6, None, 0, None, (Segment(Decimal(6), uri),), False)
        )


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a\rb"])
def test_refuses_to_write_a_name_that_its_quotes_can_not_hold(name: str) -> None:
    audio = AudioMedia("audio", name, None, False, True, None, None)
    with pytest.raises(PlaylistError):
        hls.write_master(MasterPlaylist(MASTER.header, (audio,), ()))


integers = st.integers(0, 2**64 - 1)
quotable = st.text(st.characters(exclude_characters='"\r\n'), max_size=20)
addresses = st.text(st.characters(exclude_characters="\r\n"), min_size=1, max_size=30).filter(
    lambda uri: not uri.startswith("#")
)
headers = st.builds(
    Header,
    version=integers,
    independent_segments=st.booleans(),
    start_s=st.none() | st.decimals(0, 10**6, places=3),
    sequence=st.none() | integers,
)
segments = st.builds(Segment, duration_s=st.decimals(0, 100, places=6), uri=addresses)
media_playlists = st.builds(
    MediaPlaylist,
    header=headers,
    target_duration_s=st.integers(100, 2**64 - 1),
    kind=st.sampled_from(["EVENT", "VOD", None]),
    media_sequence=integers,
    map_uri=st.none() | quotable,
    segments=st.lists(segments, max_size=5).map(tuple),
    ended=st.booleans(),
)
audio_medias = st.builds(
    AudioMedia,
    group_id=st.just("audio"),
    name=quotable,
    language=st.none() | quotable,
    default=st.booleans(),
    autoselect=st.booleans(),
    channels=st.none() | quotable,
    uri=st.none() | quotable,
)
codecs = st.from_regex(r"[a-z0-9.]{1,12}", fullmatch=True)
variants = st.builds(
    Variant,
    bandwidth_bps=integers,
    average_bps=st.none() | integers,
    codecs=st.lists(codecs, max_size=3).map(tuple),
    resolution=st.none() | st.tuples(st.integers(0, 999_999), st.integers(0, 999_999)),
    frame_rate_hz=st.none() | st.decimals(0, 240, places=3),
    audio_group=st.sampled_from([None, "audio"]),
    uri=addresses,
)
master_playlists = st.builds(
    MasterPlaylist,
    header=headers,
    audio=st.lists(audio_medias, min_size=1, max_size=3).map(tuple),
    variants=st.lists(variants, max_size=4).map(tuple),
)


@given(media_playlists)
def test_any_media_playlist_is_read_back_as_it_was_written(playlist: MediaPlaylist) -> None:
    assert hls.read_media(hls.write_media(playlist)) == playlist


@given(master_playlists)
def test_any_master_playlist_is_read_back_as_it_was_written(playlist: MasterPlaylist) -> None:
    assert hls.read_master(hls.write_master(playlist)) == playlist


fragments = st.sampled_from(
    [*MEDIA_TEXT.splitlines(True), *MASTER_TEXT.splitlines(True), '"', ",", "=", ":", "\r", "#"]
) | st.text(max_size=8)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """The text with some stretches taken out and replaced by pieces of others or by noise."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        text = text[:start] + draw(fragments) + text[end:]
    return text


@given(damaged(MEDIA_TEXT) | damaged(MASTER_TEXT) | st.text())
def test_damage_is_refused_or_read_as_something_that_can_be_written_again(text: str) -> None:
    try:
        media = hls.read_media(text)
    except PlaylistError:
        pass
    else:
        assert hls.read_media(hls.write_media(media)) == media
    try:
        master = hls.read_master(text)
    except PlaylistError:
        pass
    else:
        assert hls.read_master(hls.write_master(master)) == master


def test_an_independent_reader_sees_the_same_media_playlist() -> None:
    seen = m3u8.loads(MEDIA_TEXT)
    assert [(segment.uri, segment.duration) for segment in seen.segments] == [
        ("480p/ab/0.m4s", 6.006),
        ("480p/ab/1.m4s", 3.003),
    ]
    assert seen.segment_map[0].uri == "480p/ab/init.mp4"
    assert seen.target_duration == 6
    assert seen.is_endlist
    assert seen.is_independent_segments
    assert seen.playlist_type == "event"
    assert seen.start.time_offset == 0


def test_an_independent_reader_sees_the_same_master_playlist() -> None:
    seen = m3u8.loads(MASTER_TEXT)
    assert seen.is_variant
    (playlist,) = seen.playlists
    info = playlist.stream_info
    assert (info.bandwidth, info.average_bandwidth) == (530_000, 428_000)
    assert (info.codecs, info.resolution) == ("avc1.640015,mp4a.40.2", (426, 240))
    assert (info.frame_rate, info.audio) == (29.970, "audio")
    (media,) = seen.media
    assert (media.type, media.uri, media.language) == ("AUDIO", "audio-128.m3u8", "en")
    assert (media.default, media.autoselect, media.channels) == ("YES", "YES", "2")
