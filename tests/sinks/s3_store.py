"""A bucket of its own for a test, on the S3 server that tests share, and what stands over it."""

import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from millrace.sinks.door import DoorThread, build_edge
from millrace.sinks.s3_bucket import prepare
from millrace.sinks.s3_client import S3Place
from millrace.sinks.s3_objects import S3Objects
from millrace.sinks.signing import Signer, SigningKeys
from tests.sinks.door_client import SECRET
from tests.stack.servers import PrivateS3, SharedS3


class RealClock:
    """S3 servers refuse signatures of another day, so their tests run by the real clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def in_ms(self, duration_ms: int) -> int:
        return self.now_ms() + duration_ms


@dataclass
class OpenEdge:
    """An S3 store and the edge over it, which answers below `url`."""

    store: S3Objects
    clock: RealClock
    url: str

    def part_url(self, key: str, upload: str, size_bytes: int) -> str:
        return self.store.presign_part(key, upload, 1, size_bytes, self.clock.in_ms(60_000))

    def object_url(self, key: str, valid_ms: int = 60_000) -> str:
        return self.store.presign_get(key, self.clock.in_ms(valid_ms)) + key


def signer(url: str = "http://edge.invalid") -> Signer:
    return Signer(SigningKeys("one", {"one": SECRET}), url, RealClock().now_ms)


def fresh_bucket(server: SharedS3 | PrivateS3) -> S3Place:
    """A bucket on the server that no other test has; a running server."""
    bucket = f"test-{uuid.uuid4().hex}"
    place = S3Place(server.url, bucket, server.access_key, server.secret_key, server.region)
    prepare(place)
    return place


@contextmanager
def s3_store(place: S3Place) -> Iterator[S3Objects]:
    """A store that makes addresses of no edge."""
    store = S3Objects(place, signer(), RealClock().now_ms)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def open_edge(place: S3Place) -> Iterator[OpenEdge]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        store = S3Objects(place, signer(url), RealClock().now_ms)
        edge = DoorThread(build_edge(store, signer(url)), listening)
        edge.start()
        try:
            yield OpenEdge(store, RealClock(), url)
        finally:
            edge.stop()
            store.close()


def emptied(store: S3Objects) -> S3Objects:
    """The store, with nothing in it that another test left."""
    for upload in store.uploads():
        store.abort(upload.key, upload.multipart_id)
    while page := store.list():
        for listed in page:
            store.delete(listed.key)
    return store
