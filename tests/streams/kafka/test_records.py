"""Messages as other producers may write them: what is wrong with one is said when it is read."""

import pytest
from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from millrace.schemas import codec
from millrace.schemas.codec import BadRecord
from millrace.schemas.envelope import Envelope, to_headers
from millrace.schemas.events import ObjectSeen
from millrace.schemas.topics import OBJECT_NOTIFICATIONS, UPLOADS, Topic
from millrace.streams.folding.records import Record
from millrace.streams.kafka.records import Partition, record_at, record_of

SEEN = ObjectSeen("rye", "u", "originals/rye/u", 1, "etag")
ENVELOPE = Envelope("id", 5, "cause", "step uploads 0 1 0", "trace", "tenant")


def message(
    value: bytes | None = None,
    headers: tuple[tuple[str, bytes | None], ...] = (),
    key: bytes | None = b"rye",
) -> ConsumerRecord:
    return ConsumerRecord("uploads", 1, 7, 99, 1, key, value, None, 0, 0, headers)


def read(topic: Topic, found: ConsumerRecord) -> Record:
    return record_of(Partition(topic, 1), found)


def test_an_event_comes_back_as_it_was_written_with_its_place_and_envelope() -> None:
    record = read(UPLOADS, message(codec.encode(SEEN), tuple(to_headers(ENVELOPE))))
    seen = record.recorded
    assert (seen.event, seen.id, seen.at_ms, seen.cause) == (SEEN, "id", 5, "cause")
    assert (seen.topic, seen.partition, seen.offset, seen.key) == ("uploads", 1, 7, b"rye")
    assert (record.append_ms, record.origin) == (99, "step uploads 0 1 0")
    assert (record.traceparent, record.tenant) == ("trace", "tenant")


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("id", b"x"),),
        (("at", b"5"),),
        (("id", b"x"), ("at", b"soon")),
        (("id", b"x"), ("at", b"9" * 5_000)),
        (("id", b"\xff"), ("at", b"5")),
        (("id", None), ("at", b"5")),
    ],
)
def test_an_event_without_id_or_time_is_a_bad_record(
    headers: tuple[tuple[str, bytes | None], ...],
) -> None:
    record = read(UPLOADS, message(codec.encode(SEEN), headers))
    with pytest.raises(BadRecord, match="headers id and at"):
        _ = record.recorded


def test_bytes_that_are_no_event_are_a_bad_record() -> None:
    with pytest.raises(BadRecord):
        _ = read(UPLOADS, message(b"no event", tuple(to_headers(ENVELOPE)))).recorded


def test_a_message_without_a_value_is_a_tombstone() -> None:
    seen = read(UPLOADS, message(None, tuple(to_headers(ENVELOPE)))).recorded
    assert (seen.event, seen.id) == (None, "id")


def test_a_notification_of_the_store_has_an_id_from_its_place_and_the_time_of_its_append() -> None:
    seen = read(OBJECT_NOTIFICATIONS, message(b"{}", key=None)).recorded
    assert (seen.event, seen.at_ms, seen.key) == (b"{}", 99, b"")
    assert len(seen.id) == 32
    assert seen.id == read(OBJECT_NOTIFICATIONS, message(b"other")).recorded.id
    # A producer that says more is believed.
    said = read(OBJECT_NOTIFICATIONS, message(b"{}", tuple(to_headers(ENVELOPE)))).recorded
    assert (said.id, said.at_ms) == ("id", 5)


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["id", "at", "cause", "origin", "other"]),
        st.none() | st.binary(max_size=24) | st.integers().map(lambda n: str(n).encode()),
    )
)


@given(st.none() | st.binary(max_size=40), st.none() | st.binary(max_size=8), HEADERS)
def test_no_message_stops_whoever_reads_the_log(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    record = record_at(Partition(UPLOADS, 0), 3, 4, key, value, headers)
    assert record.is_readable == (not value and bool(record.id) and record.at_ms is not None)
