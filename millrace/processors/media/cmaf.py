"""Read ISO BMFF boxes: split what a muxer wrote, and see what a player will see.

Nothing here decodes or encodes, and PyAV is not imported: what the muxer says about its own output
is not evidence, so exactness (ticks, joints, codec strings) is read from the bytes themselves.
This module must never guess: a box that is missing or too short raises `BoxError`.
Layouts are those of ISO/IEC 14496-12 (boxes), -14 (esds) and -15 (avcC); codec strings RFC 6381.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Sample entries start with 6 reserved bytes and a data reference index, then what their kind needs.
_VISUAL_ENTRY_BYTES = 78
_AUDIO_ENTRY_BYTES = 28

_TFHD_BASE_DATA_OFFSET = 0x01
_TFHD_DESCRIPTION_INDEX = 0x02
_TFHD_DEFAULT_DURATION = 0x08
_TFHD_DEFAULT_SIZE = 0x10
_TFHD_DEFAULT_FLAGS = 0x20
_TRUN_DATA_OFFSET = 0x001
_TRUN_FIRST_FLAGS = 0x004
_TRUN_DURATION = 0x100
_TRUN_SIZE = 0x200
_TRUN_FLAGS = 0x400
_TRUN_COMPOSITION_OFFSET = 0x800
_SAMPLE_IS_NON_SYNC = 0x00010000

_MPEG4_AUDIO = 0x40
_LONG_AUDIO_TYPE = 31
_ES_DESCRIPTOR = 0x03
_DECODER_CONFIG = 0x04
_DECODER_SPECIFIC = 0x05


class BoxError(ValueError):
    """The bytes are not the boxes they should be."""


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its four-letter kind and the offsets of its first byte, its body and its end."""

    kind: str
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class InitTrack:
    """The one track of an init segment. `size` is width and height (video), `channels` audio's."""

    timescale: int
    sample_entry: str
    codec: str
    width: int
    height: int
    channels: int
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a fragment, in decode order; times in ticks of the track's timescale."""

    decode_time: int
    duration: int
    composition_offset: int
    size_bytes: int
    sync: bool

    @property
    def shown_at(self) -> int:
        """Composition time, in ticks."""
        return self.decode_time + self.composition_offset


@dataclass(frozen=True, slots=True)
class Fragment:
    """One moof with its mdat: sequence number, tfdt and samples."""

    sequence: int
    decode_time: int
    samples: tuple[Sample, ...]

    @property
    def duration(self) -> int:
        """Sum of the sample durations, in ticks: tfdt plus this is the next fragment's tfdt."""
        return sum(sample.duration for sample in self.samples)


@dataclass(frozen=True, slots=True)
class _Defaults:
    duration: int | None
    size: int | None
    flags: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Yield the boxes that lie side by side in data[start:end]; raises BoxError."""
    limit = len(data) if end is None else end
    while start < limit:
        size, kind = _unpack(">I4s", data, start, limit)
        body = start + 8
        if size == 1:
            (size,) = _unpack(">Q", data, body, limit)
            body += 8
        elif size == 0:
            size = limit - start
        if size < body - start or start + size > limit:
            raise BoxError(f"box of {size} bytes at {start} does not fit in {limit}")
        yield Box(kind.decode("latin-1"), start, body, start + size)
        start += size


def split(data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Cut a fragmented MP4 into its init segment (ftyp, moov) and fragments (moof, mdat).

    Other boxes (styp, sidx, mfra) are left out: brand cmfc needs none of them.
    """
    init = b""
    fragments: list[bytes] = []
    moof: Box | None = None
    for box in boxes(data):
        if box.kind in ("ftyp", "moov"):
            init += data[box.start : box.end]
        elif box.kind == "moof":
            moof = box
        elif box.kind == "mdat":
            if moof is None or moof.end != box.start:
                raise BoxError("an mdat without its moof")
            fragments.append(data[moof.start : box.end])
            moof = None
    if not init:
        raise BoxError("no init segment")
    return init, tuple(fragments)


def read_init(init: bytes) -> InitTrack:
    """Read timescale, codec string and shape of the one track; raises BoxError."""
    mdia = _path(init, None, "moov", "trak", "mdia")
    mdhd = _path(init, mdia, "mdhd")
    (version,) = _unpack(">B", init, mdhd.body, mdhd.end)
    (timescale,) = _unpack(">I", init, mdhd.body + (20 if version else 12), mdhd.end)
    stsd = _path(init, mdia, "minf", "stbl", "stsd")
    entry = next(boxes(init, stsd.body + 8, stsd.end), None)
    if entry is None:
        raise BoxError("an empty stsd")
    if entry.kind in ("avc1", "avc3"):
        width, height = _unpack(">HH", init, entry.body + 24, entry.end)
        avcc = _child(init, entry.body + _VISUAL_ENTRY_BYTES, entry.end, "avcC")
        codec = f"{entry.kind}.{avc_profile(init[avcc.body : avcc.end])}"
        return InitTrack(timescale, entry.kind, codec, width, height, 0, 0)
    if entry.kind == "mp4a":
        channels, _, _, rate = _unpack(">HHII", init, entry.body + 16, entry.end)
        esds = _child(init, entry.body + _AUDIO_ENTRY_BYTES, entry.end, "esds")
        codec = aac_codec(init[esds.body + 4 : esds.end])
        return InitTrack(timescale, entry.kind, codec, 0, 0, channels, rate >> 16)
    raise BoxError(f"sample entry {entry.kind} is not one we make")


def avc_profile(avcc: bytes) -> str:
    """Profile, constraints and level of an avcC body as RFC 6381 writes them, such as 64001f."""
    if len(avcc) < 7 or avcc[0] != 1:
        raise BoxError("not an avcC")
    return avcc[1:4].hex()


def parameter_sets(init: bytes) -> bytes:
    """The avcC body of an init segment: equal in every chunk of a rung, or players break."""
    stsd = _path(init, None, "moov", "trak", "mdia", "minf", "stbl", "stsd")
    entry = _child(init, stsd.body + 8, stsd.end, "avc1")
    avcc = _child(init, entry.body + _VISUAL_ENTRY_BYTES, entry.end, "avcC")
    return init[avcc.body : avcc.end]


def aac_codec(descriptors: bytes) -> str:
    """Codec string of an esds's descriptors, such as mp4a.40.2; raises BoxError."""
    # The elementary stream's descriptor has 3 bytes before its children, the decoder's has 13.
    config = _descriptor(_descriptor(descriptors, _ES_DESCRIPTOR)[3:], _DECODER_CONFIG)
    specific = _descriptor(config[13:], _DECODER_SPECIFIC)
    if config[0] != _MPEG4_AUDIO or len(specific) < 2:
        raise BoxError("an esds that is not AAC's")
    kind = specific[0] >> 3
    if kind == _LONG_AUDIO_TYPE:
        kind = 32 + ((specific[0] & 7) << 3 | specific[1] >> 5)
    return f"mp4a.40.{kind}"


def read_fragment(data: bytes) -> Fragment:
    """Read the moof of one segment, sample by sample; raises BoxError.

    Defaults are read from tfhd only: a segment that leans on the init segment's trex is refused.
    """
    moof = _child(data, 0, len(data), "moof")
    mfhd = _path(data, moof, "mfhd")
    (sequence,) = _unpack(">I", data, mfhd.body + 4, mfhd.end)
    traf = _path(data, moof, "traf")
    tfdt = _path(data, traf, "tfdt")
    (version,) = _unpack(">B", data, tfdt.body, tfdt.end)
    (decode_time,) = _unpack(">Q" if version else ">I", data, tfdt.body + 4, tfdt.end)
    defaults = _read_tfhd(data, _path(data, traf, "tfhd"))
    samples: list[Sample] = []
    at = decode_time
    for box in boxes(data, traf.body, traf.end):
        if box.kind != "trun":
            continue
        for sample in _read_trun(data, box, defaults, at):
            samples.append(sample)
            at += sample.duration
    return Fragment(sequence, decode_time, tuple(samples))


def _read_tfhd(data: bytes, box: Box) -> _Defaults:
    (flags,) = _unpack(">I", data, box.body, box.end)
    at = box.body + 8
    if flags & _TFHD_BASE_DATA_OFFSET:
        at += 8
    if flags & _TFHD_DESCRIPTION_INDEX:
        at += 4
    values: list[int | None] = []
    for flag in (_TFHD_DEFAULT_DURATION, _TFHD_DEFAULT_SIZE, _TFHD_DEFAULT_FLAGS):
        if flags & flag:
            values.append(_unpack(">I", data, at, box.end)[0])
            at += 4
        else:
            values.append(None)
    return _Defaults(values[0], values[1], values[2] or 0)


def _read_trun(data: bytes, box: Box, defaults: _Defaults, at_ticks: int) -> Iterator[Sample]:
    word, count = _unpack(">II", data, box.body, box.end)
    if count > len(data):
        raise BoxError(f"{count} samples in {len(data)} bytes")
    signed = word >> 24 != 0
    at = box.body + 8
    if word & _TRUN_DATA_OFFSET:
        at += 4
    first_flags: int | None = None
    if word & _TRUN_FIRST_FLAGS:
        (first_flags,) = _unpack(">I", data, at, box.end)
        at += 4
    for index in range(count):
        duration, size, flags, offset = defaults.duration, defaults.size, defaults.flags, 0
        if index == 0 and first_flags is not None:
            flags = first_flags
        if word & _TRUN_DURATION:
            (duration,) = _unpack(">I", data, at, box.end)
            at += 4
        if word & _TRUN_SIZE:
            (size,) = _unpack(">I", data, at, box.end)
            at += 4
        if word & _TRUN_FLAGS:
            (flags,) = _unpack(">I", data, at, box.end)
            at += 4
        if word & _TRUN_COMPOSITION_OFFSET:
            (offset,) = _unpack(">i" if signed else ">I", data, at, box.end)
            at += 4
        if duration is None or size is None:
            raise BoxError("a sample without duration or size")
        yield Sample(at_ticks, duration, offset, size, not flags & _SAMPLE_IS_NON_SYNC)
        at_ticks += duration


def _descriptor(data: bytes, wanted: int) -> bytes:
    """Body of the first MPEG-4 descriptor tagged `wanted` in data; raises BoxError."""
    at = 0
    while at < len(data):
        tag, size, at = data[at], 0, at + 1
        more = True
        while more and at < len(data):
            size = size << 7 | data[at] & 0x7F
            more = data[at] & 0x80 != 0
            at += 1
        body = data[at : at + size]
        if more or not body or len(body) != size:
            raise BoxError("a descriptor that does not fit")
        if tag == wanted:
            return body
        at += size
    raise BoxError(f"no descriptor {wanted}")


def _path(data: bytes, parent: Box | None, *kinds: str) -> Box:
    start, end = (0, len(data)) if parent is None else (parent.body, parent.end)
    box: Box | None = parent
    for kind in kinds:
        box = _child(data, start, end, kind)
        start, end = box.body, box.end
    assert box is not None, "a path names at least one box"
    return box


def _child(data: bytes, start: int, end: int, kind: str) -> Box:
    for box in boxes(data, start, end):
        if box.kind == kind:
            return box
    raise BoxError(f"no {kind}")


def _unpack(layout: str, data: bytes, at: int, end: int) -> tuple[Any, ...]:
    if at + struct.calcsize(layout) > end:
        raise BoxError(f"{layout} does not fit at {at}")
    return struct.unpack_from(layout, data, at)
