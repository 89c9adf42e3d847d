"""What the header of an MP4 file claims, read by hand: FFmpeg corrects lies where it sees them.

A file whose header promises hours and holds seconds was damaged or made to deceive; FFmpeg plays
it without a word (measured), so the claims are read from the boxes themselves. This module must
never raise over a malformed box: what can't be read claims nothing, and the demuxer has the last
word on what is there.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

MOOV_BYTES_MAX = 64 * 1024 * 1024
"""A larger index is not read; ten hours of 60 fps take 35 MB."""

BOXES_MAX = 10_000
"""No file has so many boxes beside one another that says anything in them."""


@dataclass(frozen=True, slots=True)
class TrackClaim:
    """What a track claims: its length by its own header and by its sample table, in its timescale.

    `timed_samples` counts samples of the time table (stts), `sized_samples` of the size table.
    """

    duration: int
    timed_duration: int
    timed_samples: int
    sized_samples: int


@dataclass(frozen=True, slots=True)
class Claims:
    """Length of the movie in seconds, and what each of its tracks claims."""

    duration_s: Fraction
    tracks: tuple[TrackClaim, ...]


def read_claims(path: Path) -> Claims | None:
    """The claims of the first `moov` box; None where there is none that can be read."""
    moov = _moov(path)
    if moov is None:
        return None
    duration_s = Fraction(0)
    tracks = []
    for kind, body in _boxes(moov):
        if kind == b"mvhd":
            timescale, duration = _timing(body)
            duration_s = Fraction(duration, timescale) if timescale else duration_s
        elif kind == b"trak":
            tracks.append(_track(body))
    return Claims(duration_s, tuple(tracks))


def _moov(path: Path) -> bytes | None:
    with path.open("rb") as file:
        for _ in range(BOXES_MAX):
            head = file.read(8)
            if len(head) < 8:
                return None
            size, kind = struct.unpack(">I4s", head)
            body = size - 8
            if size == 1:
                long_head = file.read(8)
                body = int.from_bytes(long_head, "big") - 16
            if kind == b"moov":
                return file.read(body) if 0 < body <= MOOV_BYTES_MAX else None
            if body < 0:
                return None
            file.seek(body, 1)
    return None


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, body) of the boxes side by side in `content`, up to the first that is malformed."""
    at = 0
    for _ in range(BOXES_MAX):
        if at + 8 > len(content):
            return
        size, kind = struct.unpack_from(">I4s", content, at)
        if size < 8 or at + size > len(content):
            return
        yield kind, content[at + 8 : at + size]
        at += size


def _timing(body: bytes) -> tuple[int, int]:
    """(timescale, duration) of an mvhd or mdhd; zeros where the length is not known."""
    form, at, unknown = (">IQ", 20, 2**64 - 1) if body[:1] == b"\x01" else (">II", 12, 2**32 - 1)
    if len(body) < at + struct.calcsize(form):
        return 0, 0
    timescale, duration = struct.unpack_from(form, body, at)
    return timescale, 0 if duration == unknown else duration


def _track(trak: bytes) -> TrackClaim:
    found = dict(_boxes(trak))
    media = dict(_boxes(found.get(b"mdia", b"")))
    table = dict(_boxes(dict(_boxes(media.get(b"minf", b""))).get(b"stbl", b"")))
    timed_samples, timed_duration = _times(table.get(b"stts", b""))
    sizes = table.get(b"stsz", b"")
    sized_samples = int.from_bytes(sizes[8:12], "big")
    _, duration = _timing(media.get(b"mdhd", b""))
    return TrackClaim(duration, timed_duration, timed_samples, sized_samples)


def _times(stts: bytes) -> tuple[int, int]:
    """(samples, their total length) of a time table, as far as its entries are there."""
    count = min(int.from_bytes(stts[4:8], "big"), (len(stts) - 8) // 8) if len(stts) >= 8 else 0
    samples = duration = 0
    for many, each in struct.iter_unpack(">II", stts[8 : 8 + 8 * count]):
        samples += many
        duration += many * each
    return samples, duration
