"""Keeps so many requests in flight at an HTTP server, at as little CPU of its own as can be.

Requests are bytes made beforehand, answers are looked at just as far as their status and length: a
client that costs as much as the server it asks would measure itself. It must never skip an answer
that is not the one that was promised.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import cast
from urllib.parse import urlsplit


class Unexpected(Exception):
    """An answer that the benchmark does not count."""


def request_of(path: str, host: str, token: str, body: bytes) -> bytes:
    """A POST of JSON, as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Asker(asyncio.Protocol):
    """One connection: the next request goes out when the answer to the last one is whole."""

    def __init__(
        self, requests: Iterator[bytes], expected: bytes, ended: asyncio.Future[None]
    ) -> None:
        self.requests = requests
        self.expected = expected
        self.ended = ended
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        request = next(self.requests, None)
        if request is not None:
            self.transport.write(request)
            return
        self.transport.close()
        self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(self.expected):
            self.fail(self.received)
            return
        length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if len(body) >= int(length or 0):
            self.received = b""
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(b"the connection was lost")

    def fail(self, why: bytes) -> None:
        if not self.ended.done():
            self.ended.set_exception(Unexpected(why.decode()))


async def seconds(url: str, requests: Sequence[bytes], connections: int) -> float:
    """Wall time until every request was answered 202. Raises Unexpected."""
    loop = asyncio.get_running_loop()
    address, pending = urlsplit(url), iter(requests)
    ends = [loop.create_future() for _ in range(connections)]
    askers = [Asker(pending, b"HTTP/1.1 202", end) for end in ends]
    for asker in askers:
        there = (str(address.hostname), address.port or 80)
        await loop.create_connection(lambda one=asker: one, *there)  # type: ignore[misc]
    began_s = time.monotonic()
    for asker in askers:
        asker.ask()
    await asyncio.gather(*ends)
    return time.monotonic() - began_s
