"""PUT of parts through the door: what is stored, and what is refused without leaving a trace."""

import base64
import hashlib
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.sinks.door_client import Answer, OpenStore, full_disk, open_store, send, send_raw

KEY = "originals/v1/u1"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenStore]:
    with open_store(tmp_path / "store", part_bytes_max=3_000_000) as opened:
        yield opened


@pytest.fixture
def upload(opened: OpenStore) -> str:
    return opened.store.start(KEY, "video/mp4")


def files(opened: OpenStore) -> list[Path]:
    return [path for path in (opened.root / "blobs").rglob("*") if path.is_file()]


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize("size_bytes", [0, 1, 1 << 20, 2_999_999, 3_000_000])
def test_a_part_is_answered_with_its_md5_and_is_there(
    opened: OpenStore, upload: str, size_bytes: int
) -> None:
    body = bytes(range(251)) * (size_bytes // 251 + 1)
    body = body[:size_bytes]
    answer = send("PUT", opened.part_url(KEY, upload, len(body)), body)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.etag == hashlib.md5(body, usedforsecurity=False).hexdigest()
    opened.store.complete(KEY, upload, {1: answer.etag})
    assert opened.store.read(KEY) == body


def test_announced_digests_are_verified(opened: OpenStore, upload: str) -> None:
    body = b"the bytes"
    sha256 = b64(hashlib.sha256(body).digest())
    md5 = b64(hashlib.md5(body, usedforsecurity=False).digest())
    url = opened.part_url(KEY, upload, len(body))
    good = {"x-amz-checksum-sha256": sha256, "Content-MD5": md5}
    assert send("PUT", url, body, good).status == 200
    for header, value, code in (
        ("x-amz-checksum-sha256", b64(bytes(32)), "BadDigest"),
        ("Content-MD5", b64(bytes(16)), "BadDigest"),
        ("x-amz-checksum-sha256", "not base64!", "InvalidDigest"),
        ("x-amz-checksum-sha256", md5, "InvalidDigest"),
    ):
        answer = send("PUT", url, b"the bytes", {header: value})
        assert (answer.status, answer.code) == (400, code)
    assert len(files(opened)) == 1


def test_a_part_that_is_too_large_is_refused_before_it_comes(
    opened: OpenStore, upload: str
) -> None:
    target = urlsplit(opened.part_url(KEY, upload, 3_000_001))
    request = (
        f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000001\r\n\r\n"
    )
    assert b" 413 " in send_raw(opened.url, request.encode()).split(b"\r\n")[0]
    assert opened.store.list_parts(KEY, upload) == ()


@pytest.mark.parametrize("sent", [0, 1, 3, 5, 1_000_000])
def test_a_part_of_another_length_than_was_signed_is_refused_before_it_comes(
    opened: OpenStore, upload: str, sent: int
) -> None:
    target = urlsplit(opened.part_url(KEY, upload, 4))
    request = (
        f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {sent}\r\n\r\n"
    )
    answer = send_raw(opened.url, request.encode())
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"IncorrectLength" in answer
    assert files(opened) == []


def test_a_part_without_a_length_is_refused(opened: OpenStore, upload: str) -> None:
    target = urlsplit(opened.part_url(KEY, upload, 3))
    head = f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\n"
    data = head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert b" 411 " in send_raw(opened.url, data.encode()).split(b"\r\n")[0]
    assert opened.store.list_parts(KEY, upload) == ()


def test_a_part_cut_short_leaves_nothing(opened: OpenStore, upload: str) -> None:
    target = urlsplit(opened.part_url(KEY, upload, 2_000_000))
    head = (
        f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n"
    )
    send_raw(opened.url, head.encode() + bytes(1_900_000))
    # The door meets the broken connection in its own time; a whole part comes after it.
    assert send("PUT", opened.part_url(KEY, upload, 5, 2), b"whole").status == 200
    assert [part.number for part in opened.store.list_parts(KEY, upload)] == [2]
    wait = threading.Event()
    for _ in range(100):
        if len(files(opened)) == 1:
            break
        wait.wait(0.05)
    assert len(files(opened)) == 1


def test_altered_expired_and_foreign_addresses_are_forbidden(
    opened: OpenStore, upload: str
) -> None:
    url = opened.part_url(KEY, upload, 4)
    expired = opened.part_url(KEY, upload, 4, valid_ms=0)
    for wrong in (
        url.replace("size=4", "size=5"),
        url.replace("partNumber=1", "partNumber=2"),
        url.replace(KEY, "originals/v2/u1"),
        url.replace(upload, "another"),
        url.partition("?")[0],
        url + "x",
        expired,
    ):
        answer = send("PUT", wrong, b"body")
        assert (answer.status, answer.code) == (403, "AccessDenied"), wrong
    assert files(opened) == []


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH"])
def test_a_part_address_is_for_put_alone(opened: OpenStore, upload: str, method: str) -> None:
    assert send(method, opened.part_url(KEY, upload, 0)).status == 405


def test_a_body_said_to_be_compressed_is_stored_as_it_came(opened: OpenStore, upload: str) -> None:
    answer = send("PUT", opened.part_url(KEY, upload, 8), b"not gzip", {"Content-Encoding": "gzip"})
    assert answer.status == 200
    assert opened.store.list_parts(KEY, upload)[0].size_bytes == 8


def test_a_full_disk_is_said_leaves_nothing_and_goes_on_with_space(
    opened: OpenStore, upload: str
) -> None:
    body = bytes(2_500_000)
    with full_disk(1_000_000):
        answer = send("PUT", opened.part_url(KEY, upload, len(body)), body)
    assert (answer.status, answer.code) == (507, "InsufficientStorage")
    assert int(answer.headers["Retry-After"]) > 0
    assert opened.store.list_parts(KEY, upload) == ()
    assert files(opened) == []
    assert send("PUT", opened.part_url(KEY, upload, len(body)), body).status == 200


@pytest.mark.slow
def test_a_busy_index_is_said_and_leaves_nothing(opened: OpenStore, upload: str) -> None:
    # Takes the ten seconds that the store waits for another process's transaction.
    with closing(sqlite3.connect(opened.root / "index.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = send("PUT", opened.part_url(KEY, upload, 4), b"body")
    assert (answer.status, answer.code) == (503, "SlowDown")
    assert int(answer.headers["Retry-After"]) > 0
    assert files(opened) == []
    assert send("PUT", opened.part_url(KEY, upload, 4), b"body").status == 200


def test_parts_come_in_side_by_side_over_kept_connections(opened: OpenStore, upload: str) -> None:
    answers: dict[int, Answer] = {}
    threads = [
        threading.Thread(
            target=lambda n=n: answers.setdefault(
                n, send("PUT", opened.part_url(KEY, upload, 2_000_000, n), bytes([n]) * 2_000_000)
            )
        )
        for n in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers.values()} == {200}
    assert [part.number for part in opened.store.list_parts(KEY, upload)] == list(range(1, 9))


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"PUT / HTTP/9.9\r\n\r\n",
        b"PUT /millrace/a HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"PUT /millrace/a HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"PUT /millrace/a?uploadId=%ff HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"PUT /millrace/%ff%fe?a=%ed%a0%80 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"PUT /millrace/\xff?\xfe=\xfd HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"GET /s/\xff/\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /s/a/" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_no_5xx_and_no_trace(opened: OpenStore, data: bytes) -> None:
    received = send_raw(opened.url, data)
    assert not received.partition(b" ")[2].startswith(b"5"), received
    assert b"Traceback" not in received
    assert b".py" not in received
    assert send("GET", opened.url + "/healthz").status == 200


def test_a_silent_connection_does_not_keep_the_door_from_stopping(tmp_path: Path) -> None:
    with open_store(tmp_path / "other") as other:
        upload = other.store.start(KEY)
        target = urlsplit(other.part_url(KEY, upload, 9))
        address = (target.hostname or "", target.port or 80)
        peer = socket.create_connection(address)
        head = f"PUT {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        peer.sendall(head.encode() + b"half")
    peer.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
