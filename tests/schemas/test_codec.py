"""Events as bytes: written and read back, refused where damaged, waited for where unknown."""

from contextlib import suppress
from dataclasses import fields
from io import BytesIO
from typing import Any, get_args, get_type_hints

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.schemas import codec
from millrace.schemas import events as e
from millrace.schemas.avro_files import inline, load_all

WHOLE = {int: st.integers(-(1 << 31), (1 << 31) - 1), str: st.text(max_size=20)}
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    **WHOLE,
    bool: st.booleans(),
    float: st.floats(allow_nan=False, width=64),
    bytes: st.binary(max_size=20),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    if hint in PLAIN:
        return PLAIN[hint]
    arguments = get_args(hint)
    if type(None) in arguments:
        (inner,) = (one for one in arguments if one is not type(None))
        return st.none() | values(inner)
    if arguments:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    return made(hint)


def made(cls: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{field.name: values(hints[field.name]) for field in fields(cls)})


@pytest.mark.parametrize("cls", e.EVENTS, ids=lambda cls: cls.NAME)
def test_every_event_comes_back_as_it_was(cls: type[e.Event]) -> None:
    @settings(max_examples=8, deadline=None)
    @given(made(cls))
    def comes_back(event: e.Event) -> None:
        assert codec.decode(codec.encode(event)) == event

    comes_back()


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_bytes_are_a_bad_record_and_never_anything_else(data: st.DataObject) -> None:
    event = e.ViewCounted("video", "viewer", "session", 1, 2, 3, "rule")
    whole = bytearray(codec.encode(event))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with suppress(codec.BadRecord, codec.UnknownFingerprint):
        assert isinstance(codec.decode(cut), e.Event)


def test_bytes_after_the_end_are_a_bad_record() -> None:
    with pytest.raises(codec.BadRecord, match="2 bytes after the end"):
        codec.decode(codec.encode(e.VideoDeleted("video")) + b"xx")


def test_a_schema_from_the_future_is_unknown_and_not_bad() -> None:
    with pytest.raises(codec.UnknownFingerprint) as found:
        codec.decode(codec.MARKER + b"12345678" + b"body")
    assert found.value.value == b"12345678".hex()


def test_the_framing_is_avros_single_object_encoding() -> None:
    schema = inline(load_all()["VideoDeleted"], load_all())
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), {"video_id": "video"})
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    assert codec.encode(e.VideoDeleted("video")) == b"\xc3\x01" + rabin(canonical) + body.getvalue()


def rabin(text: str) -> bytes:
    """CRC-64-AVRO as the Avro specification writes it, little-endian."""
    empty = 0xC15D213AA4D7A795
    table = []
    for i in range(256):
        fp = i
        for _ in range(8):
            fp = (fp >> 1) ^ (empty & -(fp & 1))
        table.append(fp)
    fp = empty
    for byte in text.encode():
        fp = (fp >> 8) ^ table[(fp ^ byte) & 0xFF]
    return fp.to_bytes(8, "little")
