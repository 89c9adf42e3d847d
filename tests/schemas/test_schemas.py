"""Definitions: docs on every field, one writer's truth, topics, ids, partitions, envelopes."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.schemas import envelope, generate, ids, partitioning, topics
from millrace.schemas import events as e
from millrace.schemas.avro_files import load_all

EVENTS_PY = Path(generate.__file__).with_name("events.py")


def test_events_py_is_what_the_avsc_files_say() -> None:
    assert EVENTS_PY.read_text() == generate.render(), "run `make docs`"


def test_every_schema_and_field_has_a_doc() -> None:
    for name, schema in load_all().items():
        assert schema["name"] == name
        assert schema["doc"].endswith("."), name
        for field in schema["fields"]:
            assert field["doc"].endswith("."), f"{name}.{field['name']}"


def test_what_people_write_is_marked_personal() -> None:
    marked = {
        (name, field["name"])
        for name, schema in load_all().items()
        for field in schema["fields"]
        if field.get("personal")
    }
    texts = {"title", "description", "passthrough", "file_name", "avatar_url"}
    all_texts = {
        (name, field["name"])
        for name, schema in load_all().items()
        for field in schema["fields"]
        if field["name"] in texts
    }
    assert marked == all_texts | {("ProfileEdited", "name")}


def test_every_event_is_on_one_topic_and_encode_requests_on_each_lane() -> None:
    found = Counter(event for topic in topics.TOPICS for event in topic.events)
    assert set(found) == set(e.EVENTS)
    assert found.pop(e.EncodeRequested) == len(topics.LANES)
    assert set(found.values()) == {1}


def test_topic_names_are_plural_kebab_case_and_share_one_count_of_partitions() -> None:
    for topic in topics.TOPICS:
        assert topic.name == topic.name.lower().replace("_", "-")
        assert "." not in topic.name
    assert len({topic.partitions for topic in topics.TOPICS}) == 1


# From KafkaProducer's own test vectors (org.apache.kafka.common.utils.UtilsTest.testMurmur2).
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "hashed"), VECTORS.items())
def test_murmur2_is_the_java_clients(key: bytes, hashed: int) -> None:
    assert partitioning.murmur2(key) == hashed & 0xFFFFFFFF


@given(st.binary(max_size=40), st.integers(1, 64))
def test_a_key_lies_on_one_partition_that_exists(key: bytes, partitions: int) -> None:
    found = partitioning.partition_of(key, partitions)
    assert 0 <= found < partitions
    assert found == (partitioning.murmur2(key) & 0x7FFFFFFF) % partitions


def make_redrive(partition: int, key: bytes) -> e.RedriveRequested:
    names = "letter", "uploads", "uploads", "record", "uploads"
    return e.RedriveRequested(*names, partition, 7, key)


def test_a_redrive_lies_beside_the_record_that_it_names_and_a_journal_beside_its_task() -> None:
    journal = e.JournalWritten("uploads", 3, (), ())
    assert topics.partition_for(topics.JOURNALS, journal, b"uploads", 4) == 3
    for named, key in ((2, b"abc"), (1, b"foobar")):
        wish = e.RedriveRequested(
            "letter", "uploads", "uploads", "record", "uploads", named, 7, key
        )
        assert topics.partition_for(topics.REDRIVES, wish, key, 4) == named


@pytest.mark.parametrize("named", [-1, 4, 1 << 30])
def test_a_redrive_of_a_partition_that_is_not_there_lies_where_its_key_does(named: int) -> None:
    wish = make_redrive(named, b"abc")
    expected = partitioning.partition_of(b"abc", 4)
    assert topics.partition_for(topics.REDRIVES, wish, b"abc", 4) == expected


def test_other_records_lie_where_their_key_says() -> None:
    deleted = e.VideoDeleted("rye")
    expected = partitioning.partition_of(b"rye", 4)
    assert topics.partition_for(topics.PUBLICATIONS, deleted, b"rye", 4) == expected
    # Bytes that are not ours name nothing.
    assert topics.partition_for(topics.REDRIVES, None, b"rye", 4) == expected


def test_ids_follow_from_causes_and_differ_by_each_part() -> None:
    made = ids.caused("step", "cause", 0)
    assert made == ids.caused("step", "cause", 0)
    others = {ids.caused("step", "cause", 1), ids.caused("step", "other", 0)}
    assert len({made, *others, ids.caused("pets", "cause", 0)}) == 4
    assert ids.derive("a", "b", "c") != ids.derive("a", "bc") != ids.derive("ab", "c")


@given(st.text(max_size=9), st.text(max_size=9), st.integers(0, 1 << 50))
def test_an_envelope_comes_back_from_its_headers(id_: str, cause: str, at_ms: int) -> None:
    sent = envelope.Envelope(id=id_ or "id", at_ms=at_ms, cause=cause)
    assert envelope.from_headers(envelope.to_headers(sent)) == sent


@pytest.mark.parametrize("headers", [[], [("id", b"x")], [("id", b"x"), ("at", b"soon")]])
def test_headers_without_id_or_time_are_refused(headers: envelope.Headers) -> None:
    with pytest.raises(ValueError, match=r"header|literal"):
        envelope.from_headers(headers)
