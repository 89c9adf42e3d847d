"""The lines of an HLS playlist (RFC 8216, section 4.1): tags, addresses, and what is ignored.

Why it exists: media and master playlists share their frame and the tags that say how to read the
whole. It must never skip a tag that changes what the rest means, if Millrace doesn't read it.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from millrace.processors.playlists import attributes
from millrace.processors.playlists.errors import PlaylistError

# EXT-X-MAP without I-frames-only needs 6, and Apple's tools ask 7 of fragmented MP4.
VERSION: Final = 7
# Millrace's own: players ignore tags they don't know (RFC 8216, section 6.3.1).
SEQUENCE_TAG: Final = "EXT-X-MILLRACE-SEQUENCE"
SHARED_TAGS: Final = frozenset(
    {"EXT-X-VERSION", "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-START", SEQUENCE_TAG}
)
_REFUSED: Final = frozenset({"EXT-X-BYTERANGE", "EXT-X-KEY", "EXT-X-DISCONTINUITY", "EXT-X-DEFINE"})


@dataclass(frozen=True, slots=True)
class Line:
    """A tag and what follows its colon, or, without a tag, an address."""

    number: int
    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class Header:
    """The tags that media and master playlists share, each at most once.

    version: EXT-X-VERSION
    independent_segments: EXT-X-INDEPENDENT-SEGMENTS
    start_s: EXT-X-START, TIME-OFFSET in seconds; without it a growing list plays from its end
    sequence: EXT-X-MILLRACE-SEQUENCE, the number of this writing of a name that is replaced
    """

    version: int
    independent_segments: bool
    start_s: Decimal | None
    sequence: int | None


def read(text: str) -> list[Line]:
    """The lines that say something; comments and empty lines say nothing."""
    raw = text.split("\n")
    if raw[0].rstrip("\r") != "#EXTM3U":
        raise PlaylistError("a playlist begins with #EXTM3U", 1)
    found = [
        _line(number, content.rstrip("\r"))
        for number, content in enumerate(raw[1:], start=2)
        if content.rstrip("\r") and (content[0] != "#" or content.startswith("#EXT"))
    ]
    for line in found:
        if line.tag in _REFUSED:
            raise PlaylistError(f"#{line.tag} is not read here", line.number)
    return found


def once(lines: Iterable[Line], names: Container[str]) -> dict[str, Line]:
    """The named tags, each of which may be said once."""
    found: dict[str, Line] = {}
    for line in lines:
        if line.tag in names and found.setdefault(line.tag, line) is not line:
            raise PlaylistError(f"#{line.tag} is said twice", line.number)
    return found


def header(found: dict[str, Line]) -> Header:
    version = number(found, "EXT-X-VERSION")
    start = found.get("EXT-X-START")
    return Header(
        version=1 if version is None else version,
        independent_segments="EXT-X-INDEPENDENT-SEGMENTS" in found,
        start_s=None if start is None else _start_s(start),
        sequence=number(found, SEQUENCE_TAG),
    )


def number(found: dict[str, Line], tag: str) -> int | None:
    line = found.get(tag)
    return None if line is None else attributes.integer(line.value, f"#{tag}", line.number)


def written_header(header: Header) -> list[str]:
    text = ["#EXTM3U", f"#EXT-X-VERSION:{header.version}"]
    if header.independent_segments:
        text.append("#EXT-X-INDEPENDENT-SEGMENTS")
    if header.start_s is not None:
        text.append(f"#EXT-X-START:TIME-OFFSET={header.start_s:f}")
    if header.sequence is not None:
        text.append(f"#{SEQUENCE_TAG}:{header.sequence}")
    return text


def address(uri: str) -> str:
    """An address as a line of its own."""
    if not uri or uri.startswith("#") or any(char in "\r\n" for char in uri):
        raise PlaylistError(f"can't be a line of its own: {uri!r}")
    return uri


def _line(number: int, content: str) -> Line:
    if "\r" in content:
        raise PlaylistError("a carriage return within a line", number)
    if not content.startswith("#"):
        return Line(number, "", content)
    tag, _, value = content[1:].partition(":")
    return Line(number, tag, value)


def _start_s(line: Line) -> Decimal:
    offset_s = attributes.read(line.value, line.number).optional_decimal("TIME-OFFSET")
    if offset_s is None:
        raise PlaylistError("TIME-OFFSET is missing", line.number)
    return offset_s
