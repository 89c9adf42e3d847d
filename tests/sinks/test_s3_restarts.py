"""An S3 server that is killed and started again under a store (ING-3): nothing acknowledged is
lost, and an upload whose completion was cut is never said to have expired.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

from millrace.sinks.parts import joined_etag
from millrace.sinks.ports import StoreBusy
from millrace.sinks.s3_client import S3Place
from millrace.sinks.s3_objects import S3Objects
from tests.sinks.door_client import send
from tests.sinks.s3_store import RealClock, fresh_bucket, s3_store
from tests.stack.servers import PrivateS3, S3Factory

KEY = "originals/v1/u1"


@pytest.fixture
def server(s3_factory: S3Factory) -> PrivateS3:
    server = s3_factory()
    server.start()
    return server


@pytest.fixture
def place(server: PrivateS3) -> S3Place:
    return fresh_bucket(server)


@pytest.fixture
def store(place: S3Place) -> Iterator[S3Objects]:
    with s3_store(place) as store:
        yield store


def uploaded(store: S3Objects) -> tuple[str, dict[int, str]]:
    upload = store.start(KEY)
    url = store.presign_part(KEY, upload, 1, 5, RealClock().in_ms(60_000))
    return upload, {1: send("PUT", url, b"bytes").etag}


def hide(server: PrivateS3, bucket: str, upload: str, etag: str) -> None:
    """What a kill -9 in the middle of a completion leaves of an upload (docs/decisions/0009)."""
    folder = server.server.data / "buckets" / bucket / ".sgwtmp" / "multipart"
    (begun,) = folder.glob(f"*/{upload}")
    begun.rename(begun.with_name(f"{upload}.{etag}.inprogress"))


def test_a_killed_server_is_busy_until_it_is_back_and_lost_nothing(
    server: PrivateS3, store: S3Objects
) -> None:
    upload, parts = uploaded(store)
    put = store.put_bytes("videos/v1/a", b"whole")
    opened = store.open("videos/v1/a")
    server.kill()
    with pytest.raises(StoreBusy):
        store.head(KEY)
    with pytest.raises(StoreBusy):
        store.complete(KEY, upload, parts)
    server.start()
    assert store.head("videos/v1/a") == put
    with closing(opened):
        assert b"".join(opened.pieces(0, 5)) == b"whole"
    assert [part.etag for part in store.list_parts(KEY, upload)] == [parts[1]]
    assert store.complete(KEY, upload, parts).size_bytes == 5


def test_an_upload_that_a_crash_hid_is_busy_until_the_restart_gives_it_back(
    server: PrivateS3, place: S3Place, store: S3Objects
) -> None:
    upload, parts = uploaded(store)
    hide(server, place.bucket, upload, joined_etag([parts[1]]))
    with pytest.raises(StoreBusy):
        store.complete(KEY, upload, parts)
    server.kill()
    server.start()
    assert store.complete(KEY, upload, parts).size_bytes == 5
    assert store.read(KEY) == b"bytes"
