"""All playlists of a video as text, from its grid and what is stored of each rendition.

Why it exists: one pure function decides every name and word that players see (TRN-7, TRN-9).
Paths are relative to `videos/{video}/`; segments lie at `{rendition}/{recipe}/{init.mp4|n.m4s}`.
A finished playlist is named by the digest of its text and never changes; a growing one has a
fixed name and carries the number of its writing. It must never name a segment that its input
does not: what is listed was stored and verified.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from millrace.processors import runs
from millrace.processors.playlists import dash, hls
from millrace.processors.playlists.errors import PlaylistError
from millrace.processors.playlists.hls import AudioMedia, MasterPlaylist, MediaPlaylist, Variant
from millrace.processors.playlists.lines import VERSION, Header
from millrace.schemas.events import Grid, PlaylistRendition

MASTER: Final = "master.m3u8"
AUDIO_GROUP: Final = "audio"
# What LANGUAGE and @lang may hold (RFC 5646); containers hold anything.
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Package:
    """Texts by path, each after the ones it names, and the names to hand to players.

    finished: named by their digest; to be put once, empty while the video grows.
    growing: fixed names, to be replaced only by a higher sequence. Of a finished video they end
        the lists of players that began while it grew, since players don't read a master again.
    dash_name: empty while the video grows.
    """

    finished: dict[str, str]
    growing: dict[str, str]
    hls_name: str
    dash_name: str


def package(
    grid: Grid,
    video: tuple[PlaylistRendition, ...],
    audio: tuple[PlaylistRendition, ...],
    final: bool,
    sequence: int,
) -> Package:
    """Playlists of the renditions, video lowest first, each with at least one segment.

    Raises PlaylistError where finished video renditions differ in their timeline: players could
    not switch between them.
    """
    assert video or audio, "nothing to play"
    header = Header(VERSION, independent_segments=True, start_s=Decimal(0), sequence=sequence)
    growing: dict[str, str] = {}
    # A list that names all its segments ends, so that a player at its end knows that it is there;
    # sound is only named as far as the picture is.
    ended = final or any(one.complete for one in video) or not video
    for rendition in (*video, *audio):
        shown = rendition if ended else _until_video_ends(rendition, video)
        playlist = _media(shown, header, "EVENT", final or (ended and rendition.complete))
        # The bound of a growing list may not change (RFC 8216, section 6.2.1).
        bound_s = max(playlist.target_duration_s, -(-grid.segment_ms // 1_000))
        growing[f"{rendition.name}.m3u8"] = hls.write_media(
            replace(playlist, target_duration_s=bound_s)
        )
    if not final:
        names = {rendition.name: f"{rendition.name}.m3u8" for rendition in (*video, *audio)}
        growing[MASTER] = hls.write_master(_master(video, audio, names, header))
        return Package({}, growing, MASTER, "")
    finished, names = _finished_media(video, audio)
    master = _master(video, audio, names, _FINISHED_HEADER)
    hls_name = _add(finished, "master", "m3u8", hls.write_master(master))
    dash_name = _add(finished, "manifest", "mpd", dash.write(_manifest(grid, video, audio)))
    growing[MASTER] = hls.write_master(replace(master, header=header))
    return Package(finished, growing, hls_name, dash_name)


_FINISHED_HEADER: Final = Header(VERSION, independent_segments=True, start_s=None, sequence=None)


def _finished_media(
    video: tuple[PlaylistRendition, ...], audio: tuple[PlaylistRendition, ...]
) -> tuple[dict[str, str], dict[str, str]]:
    """The finished media playlists by their path, and the path by the rendition's name."""
    texts: dict[str, str] = {}
    names = {
        rendition.name: _add(
            texts,
            rendition.name,
            "m3u8",
            hls.write_media(_media(rendition, _FINISHED_HEADER, "VOD", ended=True)),
        )
        for rendition in (*video, *audio)
    }
    return texts, names


def _add(texts: dict[str, str], stem: str, suffix: str, text: str) -> str:
    name = f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.{suffix}"
    texts[name] = text
    return name


def _media(
    rendition: PlaylistRendition, header: Header, kind: hls.Kind, ended: bool
) -> MediaPlaylist:
    segments = tuple(_segments(rendition))
    assert segments, f"{rendition.name} has no segment yet"
    return MediaPlaylist(
        header=header,
        target_duration_s=max(hls.rounded_s(segment.duration_s) for segment in segments),
        kind=kind,
        media_sequence=0,
        map_uri=_base_url(rendition) + dash.INIT,
        segments=segments,
        ended=ended,
    )


def _segments(rendition: PlaylistRendition) -> Iterator[hls.Segment]:
    """Lengths in whole microseconds, rounded at the borders, so that their sum doesn't drift."""
    base_url, ticks, start_us, number = _base_url(rendition), 0, 0, 0
    for run in rendition.runs:
        for _ in range(run.count):
            ticks += run.duration_ticks
            end_us = round(Fraction(ticks * 1_000_000, rendition.timescale))
            duration_s = Decimal(end_us - start_us).scaleb(-6)
            yield hls.Segment(duration_s, f"{base_url}{number}.m4s")
            start_us, number = end_us, number + 1


def _base_url(rendition: PlaylistRendition) -> str:
    return f"{rendition.name}/{rendition.recipe}/"


def _length_s(rendition: PlaylistRendition) -> Fraction:
    return Fraction(runs.total_ticks(rendition.runs), rendition.timescale)


def _until_video_ends(
    rendition: PlaylistRendition, video: tuple[PlaylistRendition, ...]
) -> PlaylistRendition:
    """The rendition up to the segment in which the longest video rendition ends.

    Sound is encoded whole before the picture; a growing list that named all of it would make
    players believe that the video is that long already.
    """
    end_s = max((_length_s(one) for one in video), default=_length_s(rendition))
    count, length_ticks = 0, 0
    for run in rendition.runs:
        wanted_ticks = end_s * rendition.timescale - length_ticks
        count += max(0, min(run.count, -(-wanted_ticks // run.duration_ticks)))
        length_ticks += run.count * run.duration_ticks
    return replace(rendition, runs=runs.take(rendition.runs, count))


def _master(
    video: tuple[PlaylistRendition, ...],
    audio: tuple[PlaylistRendition, ...],
    names: dict[str, str],
    header: Header,
) -> MasterPlaylist:
    """Variants of the pictures with the sounds beside them, or of sound alone."""
    beside = audio if video or len(audio) > 1 else ()
    media = tuple(_audio_media(one, one is audio[0], names[one.name]) for one in beside)
    variants = tuple(_variant(one, beside, names[one.name]) for one in video or audio[:1])
    return MasterPlaylist(header, media, variants)


def _audio_media(rendition: PlaylistRendition, default: bool, uri: str) -> AudioMedia:
    language = _language(rendition)
    return AudioMedia(
        group_id=AUDIO_GROUP,
        name=rendition.name if language is None else f"{language} ({rendition.name})",
        language=language,
        default=default,
        autoselect=True,
        channels=str(rendition.channels),
        uri=uri,
    )


def _variant(
    rendition: PlaylistRendition, beside: tuple[PlaylistRendition, ...], uri: str
) -> Variant:
    picture = rendition.height > 0
    sounds = beside if picture else ()
    codecs = dict.fromkeys((rendition.codec, *(one.codec for one in beside)))
    return Variant(
        bandwidth_bps=rendition.bandwidth_bps + max((s.bandwidth_bps for s in sounds), default=0),
        average_bps=rendition.average_bps + max((s.average_bps for s in sounds), default=0),
        codecs=tuple(codecs),
        resolution=(rendition.width, rendition.height) if picture else None,
        frame_rate_hz=Decimal(f"{rendition.frame_rate:.3f}") if picture else None,
        audio_group=AUDIO_GROUP if beside else None,
        uri=uri,
    )


def _language(rendition: PlaylistRendition) -> str | None:
    known = rendition.language != "und" and _LANGUAGE.fullmatch(rendition.language)
    return rendition.language if known else None


def _manifest(
    grid: Grid, video: tuple[PlaylistRendition, ...], audio: tuple[PlaylistRendition, ...]
) -> dash.Manifest:
    sets = ([_adaptation_set(0, "video", video)] if video else []) + [
        _adaptation_set(number, "audio", (one,)) for number, one in enumerate(audio, start=1)
    ]
    # Rounded up: what lies behind the end of the presentation is not played.
    end_us = -(-max(_length_s(one) for one in (*video, *audio)) * 1_000_000 // 1)
    return dash.Manifest(
        duration_s=Decimal(end_us).scaleb(-6),
        min_buffer_s=Decimal(grid.keyframe_ms).scaleb(-3),
        sets=tuple(sets),
    )


def _adaptation_set(
    number: int, content_type: dash.ContentType, renditions: tuple[PlaylistRendition, ...]
) -> dash.AdaptationSet:
    first = renditions[0]
    for other in renditions[1:]:
        if (other.timescale, other.runs) != (first.timescale, first.runs):
            raise PlaylistError(f"{other.name} and {first.name} differ in their timeline")
    return dash.AdaptationSet(
        id=number,
        content_type=content_type,
        language=_language(first),
        timescale=first.timescale,
        runs=first.runs,
        representations=tuple(_representation(one) for one in renditions),
    )


def _representation(rendition: PlaylistRendition) -> dash.Representation:
    of = dash.Representation(
        id=rendition.name,
        bandwidth_bps=rendition.bandwidth_bps,
        codecs=rendition.codec,
        base_url=_base_url(rendition),
    )
    if rendition.height == 0:
        return replace(of, sample_rate_hz=rendition.sample_rate_hz, channels=rendition.channels)
    # Rates of the NTSC family are N/1001; no other rate needs a larger denominator.
    rate = Fraction(rendition.frame_rate).limit_denominator(1_001)
    return replace(of, width=rendition.width, height=rendition.height, frame_rate=rate)
