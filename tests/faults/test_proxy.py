"""The fault proxy breaks what it is told to and nothing else."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.faults.proxy import Fault, FaultProxy, fault_proxy

BODY = bytes(range(256)) * 1_000
# Bodies that came to the server.
SEEN: list[bytes] = []


class Server(BaseHTTPRequestHandler):
    """Answers GET with BODY and PUT with what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(BODY)

    def do_PUT(self) -> None:
        SEEN.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(SEEN[-1])

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with fault_proxy("127.0.0.1", server.server_port) as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def ask(proxy: FaultProxy, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=2)
    try:
        connection.request(method, "/", body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_without_a_fault_everything_passes(proxy: FaultProxy) -> None:
    assert ask(proxy) == (200, BODY)
    assert ask(proxy, "PUT", BODY) == (200, BODY)
    assert proxy.met == 0


def test_so_many_requests_are_answered_503_and_the_next_one_passes(proxy: FaultProxy) -> None:
    proxy.set(Fault(unavailable=True, times=2))
    assert [ask(proxy)[0] for _ in range(3)] == [503, 503, 200]
    assert proxy.met == 2


def test_a_large_body_is_answered_503_too(proxy: FaultProxy) -> None:
    with proxy.broken(Fault(unavailable=True)):
        status, body = ask(proxy, "PUT", BODY * 4)
    assert status == 503
    assert b"SlowDown" in body
    assert ask(proxy, "PUT", b"x") == (200, b"x")


@pytest.mark.parametrize("cut", [0, 1, 100_000])
def test_a_body_is_cut_where_it_was_said(proxy: FaultProxy, cut: int) -> None:
    with proxy.broken(Fault(cut_after_bytes=cut)), pytest.raises(http.client.IncompleteRead) as met:
        ask(proxy)
    assert met.value.partial == BODY[:cut]


def test_a_refused_connection_ends_at_once(proxy: FaultProxy) -> None:
    with proxy.broken(Fault(refuse=True)), pytest.raises(ConnectionError):
        ask(proxy)
    assert ask(proxy)[0] == 200


def test_a_delay_holds_both_ways(proxy: FaultProxy) -> None:
    begun = time.monotonic()
    with proxy.broken(Fault(delay_s=0.1)):
        assert ask(proxy, "PUT", b"x") == (200, b"x")
    assert time.monotonic() - begun >= 0.2


def test_a_frozen_server_says_nothing(proxy: FaultProxy) -> None:
    address = "127.0.0.1", proxy.port
    with proxy.broken(Fault(frozen=True)), socket.create_connection(address, 0.2) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(TimeoutError):
            peer.recv(1)


def test_connections_that_are_open_meet_the_fault_too(proxy: FaultProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 2) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.recv(15) == b"HTTP/1.1 200 OK"
        proxy.set(Fault(unavailable=True))
        with pytest.raises(ConnectionError):
            list(iter(lambda: peer.recv(1 << 20), b""))


def test_plain_tcp_is_cut_after_so_many_bytes(proxy: FaultProxy) -> None:
    fault = Fault(cut_after_bytes=5, http=False)
    with proxy.broken(fault), socket.create_connection(("127.0.0.1", proxy.port), 2) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while block := peer.recv(100):
            received += block
    assert received == b"HTTP/"


def test_an_answer_is_lost_after_the_server_gave_it(proxy: FaultProxy) -> None:
    proxy.set(Fault(lose_answer=True, times=1))
    with pytest.raises(http.client.RemoteDisconnected):
        ask(proxy, "PUT", b"first")
    assert ask(proxy, "PUT", b"second") == (200, b"second")
    assert SEEN[-2:] == [b"first", b"second"]
