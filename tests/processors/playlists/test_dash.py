"""DASH text to values and back: a table, properties, damage, and a schema made by hand."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from millrace.processors.playlists import dash
from millrace.processors.playlists.dash import AdaptationSet, Manifest, Representation
from millrace.processors.playlists.errors import PlaylistError
from millrace.schemas.events import SegmentRun

TEXT = """<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" \
type="static" mediaPresentationDuration="PT15.015000S" minBufferTime="PT2.000000S">
  <Period id="0" start="PT0S">
    <AdaptationSet id="0" contentType="video" mimeType="video/mp4" segmentAlignment="true" \
startWithSAP="1">
      <SegmentTemplate timescale="30000" initialization="init.mp4" media="$Number$.m4s" \
startNumber="0">
        <SegmentTimeline>
          <S t="0" d="180180" r="1"/>
          <S t="360360" d="90090"/>
        </SegmentTimeline>
      </SegmentTemplate>
      <Representation id="480p" bandwidth="1500000" codecs="avc1.64001f" width="854" height="480" \
frameRate="30000/1001" sar="1:1">
        <BaseURL>480p/ab/</BaseURL>
      </Representation>
    </AdaptationSet>
    <AdaptationSet id="1" contentType="audio" lang="en" mimeType="audio/mp4" \
segmentAlignment="true" startWithSAP="1">
      <SegmentTemplate timescale="48000" initialization="init.mp4" media="$Number$.m4s" \
startNumber="0">
        <SegmentTimeline>
          <S t="0" d="720720"/>
        </SegmentTimeline>
      </SegmentTemplate>
      <Representation id="audio-128" bandwidth="130000" codecs="mp4a.40.2" \
audioSamplingRate="48000">
        <AudioChannelConfiguration \
schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2"/>
        <BaseURL>audio-128/cd/</BaseURL>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
"""
MANIFEST = Manifest(
    duration_s=Decimal("15.015"),
    min_buffer_s=Decimal(2),
    sets=(
        AdaptationSet(
            id=0,
            content_type="video",
            language=None,
            timescale=30_000,
            runs=(SegmentRun(2, 180_180), SegmentRun(1, 90_090)),
            representations=(
                Representation(
                    id="480p",
                    bandwidth_bps=1_500_000,
                    codecs="avc1.64001f",
                    base_url="480p/ab/",
                    width=854,
                    height=480,
                    frame_rate=Fraction(30_000, 1_001),
                ),
            ),
        ),
        AdaptationSet(
            id=1,
            content_type="audio",
            language="en",
            timescale=48_000,
            runs=(SegmentRun(1, 720_720),),
            representations=(
                Representation(
                    id="audio-128",
                    bandwidth_bps=130_000,
                    codecs="mp4a.40.2",
                    base_url="audio-128/cd/",
                    sample_rate_hz=48_000,
                    channels=2,
                ),
            ),
        ),
    ),
)


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(Path(__file__).with_name("mpd_subset.xsd")))


def test_manifests_are_the_same_both_ways() -> None:
    assert dash.write(MANIFEST) == TEXT
    assert dash.read(TEXT) == MANIFEST


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("</MPD>", "", 28, "no element found"),
        ("<Period", "<Period <", 3, "not well-formed"),
        ("<MPD ", '<!DOCTYPE MPD [<!ENTITY a "b">]>\n<MPD ', 2, "document type"),
        ("urn:mpeg:dash:schema:mpd:2011", "urn:other", 2, "no MPD"),
        ('"static"', '"dynamic"', 2, "static"),
        ("PT15.015000S", "P1D", 2, "seconds"),
        ('minBufferTime="PT2.000000S"', "", 2, "@minBufferTime is missing"),
        ('contentType="video"', 'contentType="text"', 4, "video or audio"),
        ('id="0" contentType', 'id="first" contentType', 4, "whole number"),
        ("480p/ab/", "\ud800", 12, "not well-formed"),
        ('startNumber="0"', 'startNumber="1"', 5, "from 0"),
        ("$Number$.m4s", "$Time$.m4s", 5, "must be named"),
        ('timescale="30000"', 'timescale=""', 5, "whole number"),
        ('t="360360"', 't="360361"', 8, "no hole"),
        ('d="90090"', 'd="-1"', 8, "whole number"),
        ('r="1"', 'r="-1"', 7, "whole number"),
        ('"30000/1001"', '"30000/0"', 11, "ratio"),
        ('codecs="avc1.64001f" ', "", 11, "@codecs is missing"),
        ("<BaseURL>480p/ab/</BaseURL>", "", 11, "<BaseURL> is missing"),
        ("<BaseURL>480p/ab/</BaseURL>", "<BaseURL>a</BaseURL><BaseURL/>", 12, "said twice"),
    ],
)
def test_says_in_which_line_what_is_wrong(old: str, new: str, line: int, words: str) -> None:
    assert old in TEXT
    with pytest.raises(PlaylistError) as error:
        dash.read(TEXT.replace(old, new, 1))
    assert words in error.value.text
    assert error.value.line == line


def test_refuses_a_tree_that_is_deeper_than_any_manifest() -> None:
    with pytest.raises(PlaylistError, match="too deep"):
        dash.read("<a>" * 100_000)


words = st.from_regex(r"[A-Za-z0-9&<>'\"./_-]{1,20}", fullmatch=True)
runs = st.builds(SegmentRun, count=st.integers(1, 10_000), duration_ticks=st.integers(1, 2**32))
unsigned = st.integers(0, 2**32 - 1)
representations = st.builds(
    Representation,
    id=words,
    bandwidth_bps=unsigned,
    codecs=words,
    base_url=words,
    width=st.none() | unsigned,
    height=st.none() | unsigned,
    frame_rate=st.none() | st.fractions(0, 240, max_denominator=1_001),
    sample_rate_hz=st.none() | unsigned,
    channels=st.none() | unsigned,
)
sets = st.builds(
    AdaptationSet,
    id=unsigned,
    content_type=st.sampled_from(["video", "audio"]),
    language=st.none() | st.just("de-CH"),
    timescale=unsigned,
    runs=st.lists(runs, min_size=1, max_size=5).map(tuple),
    representations=st.lists(
        representations, min_size=1, max_size=3, unique_by=lambda one: one.id
    ).map(tuple),
)
manifests = st.builds(
    Manifest,
    duration_s=st.decimals(0, 10**8, places=6),
    min_buffer_s=st.decimals(0, 100, places=6),
    sets=st.lists(sets, min_size=1, max_size=3).map(tuple),
)


@given(manifests)
def test_any_manifest_is_read_back_as_it_was_written(manifest: Manifest) -> None:
    assert dash.read(dash.write(manifest)) == manifest


fragments = st.sampled_from([*TEXT.splitlines(True), '"', "<", ">", "&", "/", "&a;"]) | st.text(
    max_size=8
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """The manifest with some stretches replaced by other lines of it or by noise."""
    text = TEXT
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        text = text[:start] + draw(fragments) + text[end:]
    return text


@st.composite
def altered(draw: st.DrawFn) -> str:
    """The manifest, still well-formed, with some values replaced."""
    pieces = TEXT.split('"')
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(6, len(pieces) // 2 - 1)) * 2 + 1
        noise = st.text(st.characters(categories=["L", "N", "Zs"]), max_size=12)
        pieces[place] = draw(noise | st.sampled_from(pieces[7::2]))
    return '"'.join(pieces)


@given(damaged() | altered() | st.text())
def test_damage_is_refused_or_read_as_something_that_can_be_written_again(text: str) -> None:
    try:
        manifest = dash.read(text)
    except PlaylistError:
        return
    assert dash.read(dash.write(manifest)) == manifest


def test_the_manifest_follows_the_standard(schema: etree.XMLSchema) -> None:
    schema.assertValid(etree.fromstring(TEXT.encode()))
