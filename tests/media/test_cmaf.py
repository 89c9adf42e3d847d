"""Boxes are read as ISO/IEC 14496 lays them out, and damaged ones are refused, never guessed at."""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.processors.media import cmaf


def box(kind: str, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def make_fragment(
    *,
    sequence: int = 3,
    decode_time: int = 1 << 33,
    samples: tuple[tuple[int, int, int, int], ...] = ((1001, 4, 0, 0), (1001, 4, 0x10000, 2002)),
) -> bytes:
    """A moof and mdat whose samples are (duration, size, flags, composition offset)."""
    trun = struct.pack(">III", 0x01000F01, len(samples), 0)
    trun += b"".join(struct.pack(">IIIi", *sample) for sample in samples)
    moof = box(
        "moof",
        box("mfhd", struct.pack(">II", 0, sequence)),
        box(
            "traf",
            box("tfhd", struct.pack(">II", 0x020000, 1)),
            box("tfdt", struct.pack(">IQ", 0x01000000, decode_time)),
            box("trun", trun),
        ),
    )
    return moof + box("mdat", bytes(sum(sample[1] for sample in samples)))


def make_defaults_fragment() -> bytes:
    """A fragment whose samples lean on tfhd, with a first sample's flags of its own."""
    return box(
        "moof",
        box("mfhd", struct.pack(">II", 0, 1)),
        box(
            "traf",
            box("tfhd", struct.pack(">IIIII", 0x020038, 1, 1024, 2, 0x10000)),
            box("tfdt", struct.pack(">II", 0, 7)),
            box("trun", struct.pack(">IIII", 0x000005, 2, 0, 0x02000000)),
        ),
    ) + box("mdat", bytes(4))


def make_audio_init(*, config: bytes = b"\x11\x90") -> bytes:
    """An init segment of stereo AAC at 48 kHz."""
    specific = b"\x05\x80\x80\x80" + bytes([len(config)]) + config
    decoder = b"\x04" + bytes([13 + len(specific)]) + b"\x40" + bytes(12) + specific
    descriptor = b"\x03" + bytes([3 + len(decoder)]) + bytes(3) + decoder
    entry = bytes(16) + struct.pack(">HHII", 2, 16, 0, 48_000 << 16)
    mp4a = box("mp4a", entry, box("esds", bytes(4), descriptor))
    return _init(b"mp4a", mp4a, 48_000)


def make_video_init() -> bytes:
    avcc = bytes.fromhex("0164001fffe1000867640020acd94141010004" + "68ebe3cb")
    entry = bytes(24) + struct.pack(">HH", 1280, 720) + bytes(50)
    return _init(b"avc1", box("avc1", entry, box("avcC", avcc)), 30_000)


def _init(brand: bytes, entry: bytes, timescale: int) -> bytes:
    stsd = box("stsd", struct.pack(">II", 0, 1), entry)
    mdhd = box("mdhd", struct.pack(">IIIII", 0, 0, 0, timescale, 0), bytes(4))
    mdia = box("mdia", mdhd, box("minf", box("stbl", stsd)))
    return box("ftyp", brand, bytes(4)) + box("moov", box("trak", mdia))


def test_a_fragment_says_when_each_sample_is_decoded_and_shown() -> None:
    fragment = cmaf.read_fragment(make_fragment())
    assert (fragment.sequence, fragment.decode_time, fragment.duration) == (3, 1 << 33, 2002)
    assert [sample.decode_time - (1 << 33) for sample in fragment.samples] == [0, 1001]
    assert [sample.shown_at - (1 << 33) for sample in fragment.samples] == [0, 3003]
    assert [sample.sync for sample in fragment.samples] == [True, False]


def test_negative_composition_offsets_are_read_as_signed() -> None:
    fragment = cmaf.read_fragment(make_fragment(samples=((10, 1, 0, -5),)))
    assert fragment.samples[0].composition_offset == -5


def test_what_a_run_leaves_out_comes_from_the_fragments_defaults() -> None:
    fragment = cmaf.read_fragment(make_defaults_fragment())
    assert fragment.decode_time == 7
    assert [(s.duration, s.size_bytes, s.sync) for s in fragment.samples] == [
        (1024, 2, True),
        (1024, 2, False),
    ]


def test_a_sample_without_a_duration_is_refused_and_not_taken_as_zero() -> None:
    whole = make_defaults_fragment()
    without = whole.replace(struct.pack(">II", 0x020038, 1), struct.pack(">II", 0x020030, 1))
    with pytest.raises(cmaf.BoxError, match="duration"):
        cmaf.read_fragment(without)


def test_a_file_is_split_into_init_and_fragments_without_what_players_do_not_need() -> None:
    init, one, two = make_video_init(), make_fragment(), make_fragment(sequence=4)
    styp, mfra = box("styp", b"msdh"), box("mfra", bytes(8))
    assert cmaf.split(init + styp + one + styp + two + mfra) == (init, (one, two))


def test_an_mdat_that_lost_its_moof_is_refused() -> None:
    with pytest.raises(cmaf.BoxError, match="moof"):
        cmaf.split(make_video_init() + box("mdat", bytes(4)))


def test_a_video_init_gives_its_codec_string_size_and_timescale() -> None:
    track = cmaf.read_init(make_video_init())
    assert (track.codec, track.width, track.height) == ("avc1.64001f", 1280, 720)
    assert track.timescale == 30_000


def test_an_audio_init_gives_its_codec_string_channels_and_rate() -> None:
    track = cmaf.read_init(make_audio_init())
    assert (track.codec, track.channels, track.sample_rate_hz) == ("mp4a.40.2", 2, 48_000)


def test_an_audio_object_type_above_30_is_read_from_its_long_form() -> None:
    # xHE-AAC, object type 42: 5 bits of 31, then 42 - 32 in 6 bits.
    config = struct.pack(">H", 31 << 11 | 10 << 5)
    assert cmaf.read_init(make_audio_init(config=config)).codec == "mp4a.40.42"


def test_a_box_that_says_it_is_longer_than_the_file_is_refused() -> None:
    with pytest.raises(cmaf.BoxError, match="does not fit"):
        list(cmaf.boxes(struct.pack(">I4s", 100, b"moof")))


def test_a_box_may_have_a_64_bit_size() -> None:
    data = struct.pack(">I4sQ", 1, b"mdat", 20) + bytes(4)
    assert [(b.kind, b.body, b.end) for b in cmaf.boxes(data)] == [("mdat", 16, 20)]


def test_a_run_of_more_samples_than_bytes_is_refused_before_it_is_read() -> None:
    few = struct.pack(">III", 0x000005, 2, 0)
    many = struct.pack(">III", 0x000005, 0xFFFFFFFF, 0)
    with pytest.raises(cmaf.BoxError, match="4294967295 samples"):
        cmaf.read_fragment(make_defaults_fragment().replace(few, many))


@pytest.mark.parametrize("config", [b"", b"\xf8"])
def test_an_audio_config_that_is_too_short_for_its_object_type_is_refused(config: bytes) -> None:
    with pytest.raises(cmaf.BoxError, match=r"descriptor|AAC"):
        cmaf.read_init(make_audio_init(config=config))


def test_a_descriptor_that_says_it_is_longer_than_its_parent_is_refused() -> None:
    whole = make_audio_init(config=b"\x11\x90")
    with pytest.raises(cmaf.BoxError, match="does not fit"):
        cmaf.read_init(whole.replace(b"\x80\x80\x02\x11\x90", b"\x80\x80\x03\x11\x90"))


INITS = (make_audio_init(), make_video_init())
MOOFS = tuple(
    fragment[: fragment.index(b"mdat") - 4]
    for fragment in (make_fragment(), make_defaults_fragment())
)


@pytest.mark.parametrize(
    ("read", "whole"),
    [*((cmaf.read_init, init) for init in INITS), *((cmaf.read_fragment, moof) for moof in MOOFS)],
    ids=["audio init", "video init", "fragment", "fragment of defaults"],
)
def test_wherever_the_bytes_end_too_early_they_are_refused(read: Any, whole: bytes) -> None:
    read(whole)
    for length in range(len(whole)):
        with pytest.raises(cmaf.BoxError):
            read(whole[:length])


def are_within(found: Any, data: bytes) -> bool:
    """Whether what was read says no more than the bytes do."""
    match found:
        case cmaf.Fragment(samples=samples):
            return len(samples) <= len(data)
        case cmaf.InitTrack():
            return found.sample_entry.encode() in data
        case (init, fragments):
            return len(init) + sum(map(len, fragments)) <= len(data) and init[4:8] in data
    return False


@given(st.data())
@settings(max_examples=300)
def test_damage_is_a_box_error_and_nothing_else(data: st.DataObject) -> None:
    whole = data.draw(
        st.sampled_from([make_fragment(), make_defaults_fragment(), make_audio_init()])
    )
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(whole)))])
    for read in (cmaf.split, cmaf.read_init, cmaf.read_fragment):
        try:
            found = read(cut)
        except cmaf.BoxError:
            continue
        assert are_within(found, cut)
