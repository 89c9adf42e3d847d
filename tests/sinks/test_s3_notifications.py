"""versitygw's own word of an upload, from its Kafka sink to what the re-keying step reads."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from millrace.deploy.stack.s3_events import event_options
from millrace.sinks.s3_objects import S3Objects
from millrace.streams.uploads import noticed
from tests.sinks.door_client import send
from tests.sinks.s3_store import RealClock, fresh_bucket, s3_store
from tests.stack.servers import S3Factory, SharedServer

KEY = "originals/v+1/u(1)"


@pytest.fixture
def topic(kafka: SharedServer) -> str:
    name = f"notifications-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka.address})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result()
    return name


@pytest.fixture
def store(
    kafka: SharedServer, topic: str, s3_factory: S3Factory, tmp_path: Path
) -> Iterator[S3Objects]:
    server = s3_factory(*event_options(kafka.address, topic, tmp_path))
    server.start()
    with s3_store(fresh_bucket(server)) as store:
        yield store


def hints(kafka: SharedServer, topic: str, number: int) -> list[bytes]:
    """The first records of the topic, once there are so many."""
    group = {"group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": kafka.address, **group})
    consumer.subscribe([topic])
    found: list[bytes] = []
    while len(found) < number:
        message = consumer.poll(30)
        assert message is not None, f"{len(found)} of {number} records"
        assert message.error() is None, message.error()
        found.append(message.value() or b"")
    consumer.close()
    return found


def test_a_completed_upload_is_told_once_a_completion_and_nothing_else_is(
    kafka: SharedServer, topic: str, store: S3Objects
) -> None:
    store.put_bytes("videos/v1/a.m4s", b"segment")
    upload = store.start(KEY)
    url = store.presign_part(KEY, upload, 1, 5, RealClock().in_ms(60_000))
    parts = {1: send("PUT", url, b"bytes").etag}
    store.complete(KEY, upload, parts)
    store.put_bytes("videos/v1/b.m4s", b"segment")
    store.delete("videos/v1/a.m4s")
    other = store.start("originals/last/last")
    url = store.presign_part("originals/last/last", other, 1, 5, RealClock().in_ms(60_000))
    store.complete("originals/last/last", other, {1: send("PUT", url, b"bytes").etag})
    first, *told = hints(kafka, topic, 3)
    told.append(first)
    assert sorted(map(noticed, told)) == [[], ["originals/last/last"], [KEY]]
    (tested,) = (json.loads(hint) for hint in told if not noticed(hint))
    assert tested["Event"] == "s3:TestEvent"
