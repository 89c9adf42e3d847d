"""DASH manifests (MPD, ISO/IEC 23009-1) of finished videos: text to frozen dataclasses and back.

Why it exists: see hls.py; a field's comment names the element or @attribute it carries. Segments
are addressed by a SegmentTemplate per set with the start of every run said explicitly, in ticks
of the set's own timescale. It must never raise anything but PlaylistError for a text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from millrace.processors.playlists import markup
from millrace.processors.playlists.errors import PlaylistError
from millrace.processors.playlists.markup import Element
from millrace.schemas.events import SegmentRun

NAMESPACE: Final = "urn:mpeg:dash:schema:mpd:2011"
PROFILE: Final = "urn:mpeg:dash:profile:isoff-live:2011"
CHANNELS_SCHEME: Final = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
INIT: Final = "init.mp4"
MEDIA: Final = "$Number$.m4s"

ContentType = Literal["video", "audio"]
_UNSIGNED: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_DURATION: Final = re.compile(r"PT([0-9]{1,12}(?:\.[0-9]{1,6})?)S", re.ASCII)
_RATE: Final = re.compile(r"([0-9]{1,9})(?:/([0-9]{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Representation:
    """One rendition. width, height and frame rate are a picture's, the others are a sound's."""

    id: str  # @id
    bandwidth_bps: int  # @bandwidth
    codecs: str  # @codecs
    base_url: str  # BaseURL: where its segments lie
    width: int | None = None  # @width
    height: int | None = None  # @height
    frame_rate: Fraction | None = None  # @frameRate
    sample_rate_hz: int | None = None  # @audioSamplingRate
    channels: int | None = None  # AudioChannelConfiguration@value


@dataclass(frozen=True, slots=True)
class AdaptationSet:
    """Renditions between which a player may switch at any segment: their timelines are equal."""

    id: int  # @id
    content_type: ContentType  # @contentType
    language: str | None  # @lang
    timescale: int  # SegmentTemplate@timescale
    runs: tuple[SegmentRun, ...]  # SegmentTimeline: S@t, @d, @r
    representations: tuple[Representation, ...]  # Representation, lowest first


@dataclass(frozen=True, slots=True)
class Manifest:
    """A finished video."""

    duration_s: Decimal  # @mediaPresentationDuration
    min_buffer_s: Decimal  # @minBufferTime
    sets: tuple[AdaptationSet, ...]  # Period/AdaptationSet


def write(manifest: Manifest) -> str:
    period = Element(
        "Period", {"id": "0", "start": "PT0S"}, tuple(_set_element(s) for s in manifest.sets)
    )
    attributes = {
        "xmlns": NAMESPACE,
        "profiles": PROFILE,
        "type": "static",
        "mediaPresentationDuration": _duration(manifest.duration_s),
        "minBufferTime": _duration(manifest.min_buffer_s),
    }
    return markup.written(Element("MPD", attributes, (period,)))


def read(text: str) -> Manifest:
    """Raises PlaylistError where the text is no manifest as Millrace writes them."""
    root = markup.read(text)
    if root.name != _name("MPD"):
        raise PlaylistError(f"<{markup.local(root.name)}> is no MPD", root.line)
    if root.attributes.get("type", "static") != "static":
        raise PlaylistError("@type must be static", root.line)
    period = root.only(_name("Period"))
    return Manifest(
        duration_s=_read_duration(root, "mediaPresentationDuration"),
        min_buffer_s=_read_duration(root, "minBufferTime"),
        sets=tuple(_read_set(element) for element in period.all(_name("AdaptationSet"))),
    )


def _set_element(of: AdaptationSet) -> Element:
    attributes = {"id": str(of.id), "contentType": of.content_type}
    if of.language is not None:
        attributes["lang"] = of.language
    attributes |= {
        "mimeType": f"{of.content_type}/mp4",
        "segmentAlignment": "true",
        "startWithSAP": "1",
    }
    timeline = Element("SegmentTimeline", {}, tuple(_run_elements(of.runs)))
    template = Element(
        "SegmentTemplate",
        {
            "timescale": str(of.timescale),
            "initialization": INIT,
            "media": MEDIA,
            "startNumber": "0",
        },
        (timeline,),
    )
    representations = tuple(_representation_element(one) for one in of.representations)
    return Element("AdaptationSet", attributes, (template, *representations))


def _run_elements(runs: tuple[SegmentRun, ...]) -> Iterator[Element]:
    ticks = 0
    for run in runs:
        repeats = {"r": str(run.count - 1)} if run.count > 1 else {}
        yield Element("S", {"t": str(ticks), "d": str(run.duration_ticks), **repeats})
        ticks += run.count * run.duration_ticks


def _representation_element(of: Representation) -> Element:
    optional = {
        "width": of.width,
        "height": of.height,
        "frameRate": of.frame_rate,
        "sar": None if of.width is None else "1:1",
        "audioSamplingRate": of.sample_rate_hz,
    }
    attributes = {"id": of.id, "bandwidth": str(of.bandwidth_bps), "codecs": of.codecs}
    attributes |= {name: str(value) for name, value in optional.items() if value is not None}
    children = [Element("BaseURL", text=of.base_url)]
    if of.channels is not None:
        scheme = {"schemeIdUri": CHANNELS_SCHEME, "value": str(of.channels)}
        children.insert(0, Element("AudioChannelConfiguration", scheme))
    return Element("Representation", attributes, tuple(children))


def _read_set(element: Element) -> AdaptationSet:
    template = element.only(_name("SegmentTemplate"))
    written = tuple(template.required(name) for name in ("initialization", "media", "startNumber"))
    if written != (INIT, MEDIA, "0"):
        raise PlaylistError(f"segments must be named {INIT} and {MEDIA}, from 0", template.line)
    representations = element.all(_name("Representation"))
    return AdaptationSet(
        id=_unsigned(element, "id"),
        content_type=_content_type(element),
        language=element.attributes.get("lang"),
        timescale=_unsigned(template, "timescale"),
        runs=_read_runs(template.only(_name("SegmentTimeline"))),
        representations=tuple(_read_representation(one) for one in representations),
    )


def _read_runs(timeline: Element) -> tuple[SegmentRun, ...]:
    """The runs, which must follow each other without a hole from zero on."""
    runs: list[SegmentRun] = []
    ticks = 0
    for element in timeline.all(_name("S")):
        if _unsigned(element, "t") != ticks:
            raise PlaylistError(f"@t must be {ticks}: no hole, no overlap", element.line)
        repeats = _unsigned(element, "r") if "r" in element.attributes else 0
        runs.append(SegmentRun(repeats + 1, _unsigned(element, "d")))
        ticks += runs[-1].count * runs[-1].duration_ticks
    return tuple(runs)


def _read_representation(element: Element) -> Representation:
    channels = element.optional(_name("AudioChannelConfiguration"))
    return Representation(
        id=element.required("id"),
        bandwidth_bps=_unsigned(element, "bandwidth"),
        codecs=element.required("codecs"),
        base_url=element.only(_name("BaseURL")).text,
        width=_optional_unsigned(element, "width"),
        height=_optional_unsigned(element, "height"),
        frame_rate=_frame_rate(element),
        sample_rate_hz=_optional_unsigned(element, "audioSamplingRate"),
        channels=None if channels is None else _unsigned(channels, "value"),
    )


def _content_type(element: Element) -> ContentType:
    value = element.required("contentType")
    if value == "video":
        return "video"
    if value == "audio":
        return "audio"
    raise PlaylistError(f"@contentType must be video or audio, not {value[:40]!r}", element.line)


def _frame_rate(element: Element) -> Fraction | None:
    value = element.attributes.get("frameRate")
    if value is None:
        return None
    match = _RATE.fullmatch(value)
    denominator = int(match[2] or 1) if match else 0
    if match is None or denominator == 0:
        raise PlaylistError(f"@frameRate must be a ratio, not {value[:40]!r}", element.line)
    return Fraction(int(match[1]), denominator)


def _duration(duration_s: Decimal) -> str:
    return f"PT{duration_s:.6f}S"


def _read_duration(element: Element, name: str) -> Decimal:
    match = _DURATION.fullmatch(element.required(name))
    if match is None:
        raise PlaylistError(f"@{name} must be seconds, as PT6.5S", element.line)
    return Decimal(match[1])


def _unsigned(element: Element, name: str) -> int:
    value = element.required(name)
    if _UNSIGNED.fullmatch(value) is None:
        raise PlaylistError(f"@{name} must be a whole number, not {value[:40]!r}", element.line)
    return int(value)


def _optional_unsigned(element: Element, name: str) -> int | None:
    return _unsigned(element, name) if name in element.attributes else None


def _name(name: str) -> str:
    return f"{NAMESPACE} {name}"
