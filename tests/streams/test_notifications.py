"""The store's notifications, in the dialects of AWS and others, re-keyed after a HEAD (ING-4)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.processors.media.probe import Limits
from millrace.schemas import events as e
from millrace.schemas.envelope import Recorded
from millrace.sinks.ports import Objects
from millrace.streams.declarations import WorkPorts
from millrace.streams.uploads import noticed, rekey
from tests.sinks.door_client import open_store

KEY = "originals/v+1/u(1)"
# As AWS sends it: docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
AWS = {
    "eventVersion": "2.3",
    "eventSource": "aws:s3",
    "awsRegion": "us-east-1",
    "eventTime": "2026-11-21T15:00:00.000Z",
    "eventName": "ObjectCreated:CompleteMultipartUpload",
    "s3": {
        "s3SchemaVersion": "1.0",
        "bucket": {"name": "millrace", "arn": "arn:aws:s3:::millrace"},
        "object": {
            "key": "originals/v%2B1/u%281%29",
            "size": 5,
            "eTag": "4b41a3475132bd861b30a878e30aa56a-1",
            "sequencer": "0A1B2C3D4E5F678901",
        },
    },
}
# As versitygw 1.8.0 sent it (measured): no size, a quoted ETag, a prefix, the key as it is.
VERSITY = {
    "eventVersion": "2.2",
    "eventSource": "aws:s3",
    "awsRegion": "us-east-1",
    "eventTime": "2026-11-21T15:00:00Z",
    "eventName": "s3:ObjectCreated:CompleteMultipartUpload",
    "s3": {
        "s3SchemaVersion": "1.0",
        "configurationId": "kafka-global",
        "bucket": {"name": "millrace", "arn": "arn:aws:s3:::millrace/originals/v+1/u(1)"},
        "object": {
            "key": KEY,
            "size": 0,
            "eTag": '"4b41a3475132bd861b30a878e30aa56a-1"',
            "versionId": None,
            "sequencer": "1",
        },
    },
}
TEST_EVENT = {
    "Service": "S3",
    "Event": "s3:TestEvent",
    "Time": "2026-11-21T15:00:00Z",
    "Bucket": "Test-Bucket",
}


def body(*records: dict[str, Any]) -> bytes:
    return json.dumps({"Records": records}).encode()


@pytest.mark.parametrize("record", [AWS, VERSITY])
def test_every_dialect_names_the_same_object(record: dict[str, Any]) -> None:
    assert noticed(body(record)) == [KEY]


def test_a_notification_may_name_several_objects() -> None:
    assert noticed(body(AWS, VERSITY, AWS)) == [KEY] * 3


@pytest.mark.parametrize(
    "hint",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        json.dumps(TEST_EVENT).encode(),
        b'{"Records": null}',
        b'{"Records": [null]}',
        b'{"Records": [{}]}',
        b'{"Records": [{"eventName": "s3:ObjectCreated:Put"}]}',
        b'{"Records": [{"eventName": null, "s3": {"object": {"key": "originals/a/b"}}}]}',
        b'{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": 7}}}]}',
        body({**AWS, "eventName": "s3:ObjectRemoved:Delete"}),
        body({**AWS, "eventName": "ObjectTagging:Put"}),
    ],
)
def test_what_says_of_no_object_that_it_was_made_is_no_hint(hint: bytes) -> None:
    assert noticed(hint) == []


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[Objects]:
    with open_store(tmp_path / "store") as opened:
        yield opened.store


def rekeyed(objects: Objects, hint: bytes) -> list[e.Event]:
    recorded = Recorded(hint, "id", 0, b"", "object-notifications", 0, 0)
    ports = WorkPorts(objects, None, Path("nowhere"), "worker", Limits(), lambda _point: None)  # type: ignore[arg-type]
    return [emit.event for emit in rekey(recorded, ports)]


@pytest.mark.parametrize("record", [AWS, VERSITY])
def test_what_is_said_of_an_object_is_what_head_says(
    objects: Objects, record: dict[str, Any]
) -> None:
    stat = objects.put_bytes(KEY, b"seven..")
    seen = e.ObjectSeen("v+1", "u(1)", KEY, 7, stat.etag)
    assert rekeyed(objects, body(record)) == [seen]
    assert rekeyed(objects, body(record, record)) == [seen, seen]


def test_an_object_that_is_not_there_was_not_seen(objects: Objects) -> None:
    assert rekeyed(objects, body(AWS, VERSITY)) == []


@pytest.mark.parametrize(
    "key", ["videos/v1/a", "originals/v1", "originals/a b/c", "originals/a/b/c", "originals//x", ""]
)
def test_what_is_no_original_of_ours_was_not_seen(objects: Objects, key: str) -> None:
    objects.put_bytes("videos/v1/a", b"")
    objects.put_bytes("originals/a/b/c", b"")
    record = {**AWS, "s3": {"object": {"key": key}}}
    assert rekeyed(objects, body(record)) == []
