"""HLS media and master playlists (RFC 8216): text to frozen dataclasses and back.

Why it exists: what players are told can be compared as values. `read_*(write_*(value)) == value`
for every value that can be written; a field's comment names the tag it carries. It must never
raise anything but PlaylistError for a text, and knows the tags that Millrace writes: others are
ignored where that is harmless, refused where it is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

from millrace.processors.playlists import attributes, lines
from millrace.processors.playlists.attributes import quoted, yes
from millrace.processors.playlists.errors import PlaylistError
from millrace.processors.playlists.lines import Header, Line

Kind = Literal["EVENT", "VOD"]
_ONCE_IN_MEDIA: Final = lines.SHARED_TAGS | {
    "EXT-X-TARGETDURATION",
    "EXT-X-PLAYLIST-TYPE",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-MAP",
    "EXT-X-ENDLIST",
}
_MICROSECOND: Final = Decimal("0.000001")
_THOUSANDTH: Final = Decimal("0.001")
_MASTER_ONLY: Final = frozenset({"EXT-X-STREAM-INF", "EXT-X-MEDIA"})
_MEDIA_ONLY: Final = frozenset({"EXTINF", "EXT-X-TARGETDURATION", "EXT-X-MAP"})


@dataclass(frozen=True, slots=True)
class Segment:
    """A media segment; its length is exact to the microsecond."""

    duration_s: Decimal  # EXTINF
    uri: str  # the line after it


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """The segments of one rendition."""

    header: Header
    target_duration_s: int  # EXT-X-TARGETDURATION
    kind: Kind | None  # EXT-X-PLAYLIST-TYPE
    media_sequence: int  # EXT-X-MEDIA-SEQUENCE
    map_uri: str | None  # EXT-X-MAP, URI: the init segment
    segments: tuple[Segment, ...]
    ended: bool  # EXT-X-ENDLIST


@dataclass(frozen=True, slots=True)
class AudioMedia:
    """EXT-X-MEDIA of TYPE=AUDIO: a rendition of sound that variants name by its group."""

    group_id: str  # GROUP-ID
    name: str  # NAME
    language: str | None  # LANGUAGE
    default: bool  # DEFAULT
    autoselect: bool  # AUTOSELECT
    channels: str | None  # CHANNELS
    uri: str | None  # URI; without it the sound is in the variant itself


@dataclass(frozen=True, slots=True)
class Variant:
    """EXT-X-STREAM-INF: what a player may choose."""

    bandwidth_bps: int  # BANDWIDTH: the peak of the variant and its audio
    average_bps: int | None  # AVERAGE-BANDWIDTH
    codecs: tuple[str, ...]  # CODECS
    resolution: tuple[int, int] | None  # RESOLUTION: width and height in pixels
    frame_rate_hz: Decimal | None  # FRAME-RATE, three decimals
    audio_group: str | None  # AUDIO
    uri: str  # the line after it


@dataclass(frozen=True, slots=True)
class MasterPlaylist:
    """The variants of one video."""

    header: Header
    audio: tuple[AudioMedia, ...]
    variants: tuple[Variant, ...]


def rounded_s(duration_s: Decimal) -> int:
    """A segment's length as EXT-X-TARGETDURATION bounds it: to the nearest second."""
    return int(duration_s.quantize(Decimal(1), ROUND_HALF_UP))


def write_media(playlist: MediaPlaylist) -> str:
    text = lines.written_header(playlist.header)
    text.append(f"#EXT-X-TARGETDURATION:{playlist.target_duration_s}")
    if playlist.kind is not None:
        text.append(f"#EXT-X-PLAYLIST-TYPE:{playlist.kind}")
    text.append(f"#EXT-X-MEDIA-SEQUENCE:{playlist.media_sequence}")
    if playlist.map_uri is not None:
        text.append(f"#EXT-X-MAP:URI={quoted(playlist.map_uri)}")
    for segment in playlist.segments:
        text += [f"#EXTINF:{segment.duration_s:.6f},", lines.address(segment.uri)]
    if playlist.ended:
        text.append("#EXT-X-ENDLIST")
    return "\n".join(text) + "\n"


def read_media(text: str) -> MediaPlaylist:
    """Raises PlaylistError where the text is no media playlist as Millrace writes them."""
    found = lines.read(text)
    _refuse(found, _MASTER_ONLY, "a master playlist, not a media playlist")
    once = lines.once(found, _ONCE_IN_MEDIA)
    target_duration_s = lines.number(once, "EXT-X-TARGETDURATION")
    if target_duration_s is None:
        raise PlaylistError("#EXT-X-TARGETDURATION is missing")
    return MediaPlaylist(
        header=lines.header(once),
        target_duration_s=target_duration_s,
        kind=_kind(once),
        media_sequence=lines.number(once, "EXT-X-MEDIA-SEQUENCE") or 0,
        map_uri=_map_uri(once),
        segments=tuple(_segments(found, target_duration_s)),
        ended="EXT-X-ENDLIST" in once,
    )


def write_master(playlist: MasterPlaylist) -> str:
    text = lines.written_header(playlist.header)
    text += [f"#EXT-X-MEDIA:{attributes.written(_media_pairs(a))}" for a in playlist.audio]
    for variant in playlist.variants:
        text.append(f"#EXT-X-STREAM-INF:{attributes.written(_variant_pairs(variant))}")
        text.append(lines.address(variant.uri))
    return "\n".join(text) + "\n"


def read_master(text: str) -> MasterPlaylist:
    """Raises PlaylistError where the text is no master playlist as Millrace writes them."""
    found = lines.read(text)
    _refuse(found, _MEDIA_ONLY, "a media playlist, not a master playlist")
    audio = tuple(_audio(line) for line in found if _is_audio(line))
    groups = {media.group_id for media in audio}
    return MasterPlaylist(
        header=lines.header(lines.once(found, lines.SHARED_TAGS)),
        audio=audio,
        variants=tuple(_variants(found, groups)),
    )


def _refuse(found: list[Line], tags: frozenset[str], text: str) -> None:
    for line in found:
        if line.tag in tags:
            raise PlaylistError(f"#{line.tag}: this is {text}", line.number)


def _pairs(found: list[Line], tag: str) -> Iterator[tuple[Line, str]]:
    """Each line of the tag with the address after it; neither comes without the other."""
    opened: Line | None = None
    for line in found:
        if line.tag == tag:
            if opened is not None:
                raise PlaylistError(f"#{tag} has no address after it", opened.number)
            opened = line
        elif not line.tag:
            if opened is None:
                raise PlaylistError(f"an address without #{tag} before it", line.number)
            yield opened, line.value
            opened = None
    if opened is not None:
        raise PlaylistError(f"#{tag} has no address after it", opened.number)


def _segments(found: list[Line], target_duration_s: int) -> Iterator[Segment]:
    for line, uri in _pairs(found, "EXTINF"):
        written, _, _title = line.value.partition(",")
        exact_s = attributes.decimal(written, "#EXTINF", line.number)
        duration_s = exact_s.quantize(_MICROSECOND)
        if rounded_s(duration_s) > target_duration_s:
            raise PlaylistError("#EXTINF is over #EXT-X-TARGETDURATION", line.number)
        yield Segment(duration_s, uri)


def _kind(once: dict[str, Line]) -> Kind | None:
    line = once.get("EXT-X-PLAYLIST-TYPE")
    if line is None:
        return None
    if line.value == "EVENT":
        return "EVENT"
    if line.value == "VOD":
        return "VOD"
    raise PlaylistError(f"#{line.tag} must be EVENT or VOD, not {line.value[:40]!r}", line.number)


def _map_uri(once: dict[str, Line]) -> str | None:
    line = once.get("EXT-X-MAP")
    if line is None:
        return None
    values = attributes.read(line.value, line.number)
    if "BYTERANGE" in values.values:
        raise PlaylistError("BYTERANGE is not read here", line.number)
    return values.required_text("URI")


def _media_pairs(media: AudioMedia) -> tuple[tuple[str, str | None], ...]:
    return (
        ("TYPE", "AUDIO"),
        ("GROUP-ID", quoted(media.group_id)),
        ("NAME", quoted(media.name)),
        ("LANGUAGE", None if media.language is None else quoted(media.language)),
        ("DEFAULT", yes(media.default)),
        ("AUTOSELECT", yes(media.autoselect)),
        ("CHANNELS", None if media.channels is None else quoted(media.channels)),
        ("URI", None if media.uri is None else quoted(media.uri)),
    )


def _is_audio(line: Line) -> bool:
    if line.tag != "EXT-X-MEDIA":
        return False
    return attributes.read(line.value, line.number).required("TYPE") == "AUDIO"


def _audio(line: Line) -> AudioMedia:
    values = attributes.read(line.value, line.number)
    return AudioMedia(
        group_id=values.required_text("GROUP-ID"),
        name=values.required_text("NAME"),
        language=values.text("LANGUAGE"),
        default=values.flag("DEFAULT"),
        autoselect=values.flag("AUTOSELECT"),
        channels=values.text("CHANNELS"),
        uri=values.text("URI"),
    )


def _variant_pairs(variant: Variant) -> tuple[tuple[str, str | None], ...]:
    size, rate = variant.resolution, variant.frame_rate_hz
    return (
        ("BANDWIDTH", str(variant.bandwidth_bps)),
        ("AVERAGE-BANDWIDTH", None if variant.average_bps is None else str(variant.average_bps)),
        ("CODECS", quoted(",".join(variant.codecs)) if variant.codecs else None),
        ("RESOLUTION", None if size is None else f"{size[0]}x{size[1]}"),
        ("FRAME-RATE", None if rate is None else f"{rate:.3f}"),
        ("AUDIO", None if variant.audio_group is None else quoted(variant.audio_group)),
    )


def _variants(found: list[Line], groups: set[str]) -> Iterator[Variant]:
    for line, uri in _pairs(found, "EXT-X-STREAM-INF"):
        values = attributes.read(line.value, line.number)
        group, codecs = values.text("AUDIO"), values.text("CODECS")
        rate_hz = values.optional_decimal("FRAME-RATE")
        if group is not None and group not in groups:
            raise PlaylistError(f"AUDIO names no #EXT-X-MEDIA: {group[:40]!r}", line.number)
        yield Variant(
            bandwidth_bps=values.number("BANDWIDTH"),
            average_bps=values.optional_number("AVERAGE-BANDWIDTH"),
            codecs=tuple(filter(None, map(str.strip, (codecs or "").split(",")))),
            resolution=values.resolution("RESOLUTION"),
            frame_rate_hz=None if rate_hz is None else rate_hz.quantize(_THOUSANDTH),
            audio_group=group,
            uri=uri,
        )
