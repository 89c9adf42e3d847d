"""Attribute lists and numbers of HLS tags (RFC 8216, section 4.2), both ways.

Why it exists: media and master playlists share this grammar. It must never accept what it would
not write in the same words: no exponents, no signs, no digits beyond ASCII.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from millrace.processors.playlists.errors import PlaylistError

_ATTRIBUTE: Final = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(,|$)', re.ASCII)
# RFC 8216: decimal-integers lie below 2^64.
_INTEGER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_DECIMAL: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)
_RESOLUTION: Final = re.compile(r"([0-9]{1,6})x([0-9]{1,6})", re.ASCII)
INTEGER_MAX: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of one tag, values as written, and the line they stand in."""

    values: Mapping[str, str]
    line: int

    def required(self, name: str) -> str:
        value = self.values.get(name)
        if value is None:
            raise PlaylistError(f"{name} is missing", self.line)
        return value

    def text(self, name: str) -> str | None:
        """A quoted string without its quotes."""
        value = self.values.get(name)
        if value is None:
            return None
        if not value.startswith('"'):
            raise PlaylistError(f"{name} must be quoted", self.line)
        return value[1:-1]

    def required_text(self, name: str) -> str:
        self.required(name)
        return self.text(name) or ""

    def flag(self, name: str) -> bool:
        """YES or NO; NO where it is missing."""
        value = self.values.get(name, "NO")
        if value not in {"YES", "NO"}:
            raise PlaylistError(f"{name} must be YES or NO, not {value}", self.line)
        return value == "YES"

    def number(self, name: str) -> int:
        return integer(self.required(name), name, self.line)

    def optional_number(self, name: str) -> int | None:
        return self.number(name) if name in self.values else None

    def optional_decimal(self, name: str) -> Decimal | None:
        value = self.values.get(name)
        return None if value is None else decimal(value, name, self.line)

    def resolution(self, name: str) -> tuple[int, int] | None:
        """Width and height in pixels."""
        value = self.values.get(name)
        if value is None:
            return None
        match = _RESOLUTION.fullmatch(value)
        if match is None:
            raise PlaylistError(f"{name} must be WIDTHxHEIGHT, not {value}", self.line)
        return int(match[1]), int(match[2])


def read(text: str, line: int) -> Attributes:
    """An attribute list; a name that is said twice is an error."""
    values: dict[str, str] = {}
    position, comma = 0, True
    while position < len(text):
        match = _ATTRIBUTE.match(text, position)
        if match is None:
            raise PlaylistError(f"not an attribute: {text[position : position + 40]!r}", line)
        if match[1] in values:
            raise PlaylistError(f"{match[1]} is said twice", line)
        values[match[1]] = match[2]
        position, comma = match.end(), match[3] == ","
    if comma:
        raise PlaylistError("an attribute is missing", line)
    return Attributes(values, line)


def written(pairs: Iterable[tuple[str, str | None]]) -> str:
    """An attribute list of the pairs that have a value."""
    return ",".join(f"{name}={value}" for name, value in pairs if value is not None)


def quoted(value: str) -> str:
    """A quoted string; it can't hold quotes or line breaks, and nothing can escape them."""
    if any(char in '"\r\n' for char in value):
        raise PlaylistError(f"can't be quoted: {value!r}")
    return f'"{value}"'


def yes(value: bool) -> str:
    return "YES" if value else "NO"


def integer(value: str, name: str, line: int) -> int:
    number = int(value) if _INTEGER.fullmatch(value) else INTEGER_MAX + 1
    if number > INTEGER_MAX:
        raise PlaylistError(f"{name} must be a whole number, not {value[:40]!r}", line)
    return number


def decimal(value: str, name: str, line: int) -> Decimal:
    if _DECIMAL.fullmatch(value) is None:
        raise PlaylistError(f"{name} must be a decimal number, not {value[:40]!r}", line)
    return Decimal(value)
