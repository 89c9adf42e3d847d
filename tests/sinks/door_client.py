"""A store with its door open on a free port, and a client that sends exactly what it is told to."""

import http.client
import resource
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from millrace.sinks.directory_objects import DirectoryObjects
from millrace.sinks.door import DoorThread, build_door
from millrace.sinks.door_uploads import PART_BYTES_MAX
from millrace.sinks.signing import Signer, SigningKeys

SECRET = b"a secret of thirty-two bytes ..."


@dataclass
class Clock:
    """Milliseconds of the epoch, moved by the test."""

    at_ms: int = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def in_ms(self, duration_ms: int) -> int:
        return self.at_ms + duration_ms


@dataclass
class OpenStore:
    """A store, its signer, its clock and what it notified; the door answers below `url`."""

    store: DirectoryObjects
    signer: Signer
    clock: Clock
    url: str
    root: Path
    notified: list[dict[str, Any]] = field(default_factory=list)

    def part_url(
        self, key: str, upload: str, size_bytes: int, number: int = 1, valid_ms: int = 60_000
    ) -> str:
        until_ms = self.clock.in_ms(valid_ms)
        return self.store.presign_part(key, upload, number, size_bytes, until_ms)

    def object_url(self, key: str, valid_ms: int = 60_000) -> str:
        return self.store.presign_get(key, self.clock.in_ms(valid_ms)) + key


@contextmanager
def open_store(root: Path, part_bytes_max: int = PART_BYTES_MAX) -> Iterator[OpenStore]:
    clock = Clock()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        signer = Signer(SigningKeys("one", {"one": SECRET}), url, clock.now_ms)
        notified: list[dict[str, Any]] = []
        store = DirectoryObjects(root, signer, clock.now_ms, notified.append)
        door = DoorThread(build_door(store, signer, part_bytes_max), listening)
        door.start()
        try:
            yield OpenStore(store, signer, clock, url, root, notified)
        finally:
            door.stop()
            store.close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def etag(self) -> str:
        return self.headers["ETag"].strip('"')

    @property
    def code(self) -> str:
        """The code in an S3 error document."""
        return self.body.decode().partition("<Code>")[2].partition("</Code>")[0]


def send(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request; the path is sent as it stands in the URL."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def send_raw(url: str, data: bytes) -> bytes:
    """Sends the bytes of a request as they are; the first bytes of an answer, if one comes soon."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=1) as peer:
        try:
            peer.sendall(data)
            return peer.recv(65536)
        except (TimeoutError, ConnectionError):
            return b""


@contextmanager
def full_disk(bytes_left: int) -> Iterator[None]:
    """No file of this process may grow beyond that, which writes meet as they meet a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
