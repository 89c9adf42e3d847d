"""S3 that is down, slow, cuts bodies or loses answers: nothing half is taken for whole (OPS-7)."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from millrace.sinks.ports import NotFound, PreconditionFailed, StoreBusy
from millrace.sinks.s3_client import ATTEMPTS_MAX, S3Place
from millrace.sinks.s3_objects import S3Objects
from tests.faults.proxy import Fault, FaultProxy, fault_proxy
from tests.sinks.door_client import send
from tests.sinks.s3_store import OpenEdge, RealClock, emptied, fresh_bucket, open_edge, s3_store
from tests.stack.servers import SharedS3

KEY = "videos/v1/240p/abc/0.m4s"
ORIGINAL = "originals/v1/u1"
BODY = bytes(range(256)) * 12_288  # 3 MiB
SILENCE_S = 0.5


@pytest.fixture(scope="module")
def place(s3_server: SharedS3) -> S3Place:
    return fresh_bucket(s3_server)


@pytest.fixture(scope="module")
def proxy(place: S3Place) -> Iterator[FaultProxy]:
    parts = urlsplit(place.endpoint_url)
    with fault_proxy(parts.hostname or "", parts.port or 80) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def direct(place: S3Place) -> Iterator[S3Objects]:
    """The same bucket, past the proxy."""
    with s3_store(place) as store:
        yield store


@pytest.fixture(scope="module")
def edge(place: S3Place, proxy: FaultProxy) -> Iterator[OpenEdge]:
    with open_edge(replace(place, endpoint_url=proxy.url, silence_s=SILENCE_S)) as edge:
        yield edge


@pytest.fixture
def store(edge: OpenEdge, proxy: FaultProxy, direct: S3Objects) -> S3Objects:
    """A store behind the proxy, which breaks nothing yet."""
    proxy.heal()
    proxy.met = 0
    emptied(direct).put_bytes(KEY, BODY)
    return edge.store


def uploaded(store: S3Objects, direct: S3Objects) -> tuple[str, dict[int, str]]:
    upload = store.start(ORIGINAL)
    url = direct.presign_part(ORIGINAL, upload, 1, 5, RealClock().in_ms(60_000))
    return upload, {1: send("PUT", url, b"bytes").etag}


def calls(store: S3Objects, folder: Path) -> dict[str, Callable[[], object]]:
    """Every call that goes to the server."""
    (folder / "file").write_bytes(b"file")
    return {
        "put_file": lambda: store.put_file("a", folder / "file"),
        "put_bytes": lambda: store.put_bytes("b", b""),
        "head": lambda: store.head(KEY),
        "read": lambda: store.read(KEY),
        "open": lambda: store.open(KEY),
        "download": lambda: store.download(KEY, folder / "to"),
        "copy": lambda: store.copy(KEY, "c"),
        "delete": lambda: store.delete("d"),
        "delete_prefix": lambda: store.delete_prefix("e/"),
        "list": store.list,
        "start": lambda: store.start(ORIGINAL),
        "uploads": lambda: list(store.uploads()),
        "list_parts": lambda: store.list_parts(ORIGINAL, "upload"),
        "complete": lambda: store.complete(ORIGINAL, "upload", {1: "0" * 32}),
        "abort": lambda: store.abort(ORIGINAL, "upload"),
    }


def is_busy(call: Callable[[], object]) -> bool:
    try:
        call()
    except StoreBusy:
        return True
    return False


@pytest.mark.parametrize("fault", [Fault(refuse=True), Fault(unavailable=True)])
def test_every_call_says_busy_in_bounded_time_and_goes_on_afterwards(
    store: S3Objects, proxy: FaultProxy, tmp_path: Path, fault: Fault
) -> None:
    made = calls(store, tmp_path)
    begun = time.monotonic()
    with proxy.broken(fault), ThreadPoolExecutor(len(made)) as threads:
        busy = dict(zip(made, threads.map(is_busy, made.values()), strict=True))
    assert busy == dict.fromkeys(made, True)
    assert time.monotonic() - begun < 5
    assert proxy.met == ATTEMPTS_MAX * len(made)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
    assert store.read(KEY) == BODY
    store.put_bytes("b", b"again")


def test_a_moments_trouble_is_not_seen(store: S3Objects, proxy: FaultProxy, tmp_path: Path) -> None:
    for name in ("put_file", "head", "read", "download", "copy", "list", "start"):
        proxy.set(Fault(refuse=name < "i", unavailable=name > "i", times=1))
        calls(store, tmp_path)[name]()
        proxy.heal()
    assert proxy.met == 7


def test_a_silent_server_holds_a_caller_for_one_silence_or_a_few(
    store: S3Objects, proxy: FaultProxy
) -> None:
    begun = time.monotonic()
    with proxy.broken(Fault(frozen=True)), pytest.raises(StoreBusy):
        store.head(KEY)
    assert SILENCE_S <= time.monotonic() - begun < ATTEMPTS_MAX * SILENCE_S + 2


def test_a_slow_server_is_waited_for(store: S3Objects, proxy: FaultProxy) -> None:
    with proxy.broken(Fault(delay_s=0.02)):
        assert store.read(KEY) == BODY


def test_a_body_that_is_cut_is_gone_on_with(
    store: S3Objects, proxy: FaultProxy, tmp_path: Path
) -> None:
    with proxy.broken(Fault(cut_after_bytes=700_000)):
        stat = store.download(KEY, tmp_path / "to")
        assert store.read(KEY, 100, 2_000_000) == BODY[100:2_000_100]
    assert (tmp_path / "to").read_bytes() == BODY
    assert stat.size_bytes == len(BODY)
    assert proxy.met > len(BODY) // 700_000


def test_a_body_that_never_comes_is_no_body(
    store: S3Objects, proxy: FaultProxy, tmp_path: Path
) -> None:
    with proxy.broken(Fault(cut_after_bytes=0)):
        for call in (lambda: store.read(KEY), lambda: store.download(KEY, tmp_path / "to")):
            with pytest.raises(StoreBusy):
                call()
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_is_cut_is_not_the_whole_list(store: S3Objects, proxy: FaultProxy) -> None:
    store.put_bytes("videos/v1/other", b"")
    with proxy.broken(Fault(cut_after_bytes=200)), pytest.raises(StoreBusy):
        store.list()
    with proxy.broken(Fault(cut_after_bytes=200, times=1)):
        assert len(store.list()) == 2


def test_bytes_of_two_versions_are_never_joined(
    store: S3Objects, proxy: FaultProxy, direct: S3Objects
) -> None:
    with proxy.broken(Fault(cut_after_bytes=1 << 20)), closing(store.open(KEY)) as opened:
        pieces = opened.pieces(0, len(BODY))
        assert BODY.startswith(next(pieces))
        direct.put_bytes(KEY, BODY[::-1])
        with pytest.raises(PreconditionFailed):
            next(pieces)
        assert store.read(KEY) == BODY[::-1]


@pytest.mark.parametrize("condition", ["if_match", "if_none_match"])
def test_a_put_whose_answer_was_lost_has_not_failed_on_its_own_bytes(
    store: S3Objects, proxy: FaultProxy, condition: str
) -> None:
    key = KEY if condition == "if_match" else "new"
    stat = store.head(KEY)
    assert stat is not None
    etag = stat.etag
    proxy.set(Fault(lose_answer=True, times=1))
    if condition == "if_match":
        put = store.put_bytes(key, b"bytes", if_match=etag)
    else:
        put = store.put_bytes(key, b"bytes", if_none_match=True)
    assert proxy.met == 1
    assert put == store.head(key)
    assert store.read(key) == b"bytes"


def test_a_condition_that_fails_after_a_lost_answer_is_said_for_others_bytes(
    store: S3Objects, proxy: FaultProxy
) -> None:
    proxy.set(Fault(lose_answer=True, times=1))
    with pytest.raises(PreconditionFailed):
        store.put_bytes(KEY, b"bytes", if_none_match=True)
    assert store.read(KEY) == BODY


def test_a_completion_whose_answer_was_lost_is_complete(
    store: S3Objects, proxy: FaultProxy, direct: S3Objects
) -> None:
    upload, parts = uploaded(store, direct)
    for lost in (1, 2, 3):
        proxy.set(Fault(lose_answer=True, times=lost))
        assert store.complete(ORIGINAL, upload, parts).size_bytes == 5
    assert store.read(ORIGINAL) == b"bytes"


def test_the_edge_sends_whole_bodies_over_a_store_that_cuts_them(
    store: S3Objects, edge: OpenEdge, proxy: FaultProxy
) -> None:
    with proxy.broken(Fault(cut_after_bytes=1_100_000)):
        answer = send("GET", edge.object_url(KEY))
    assert (answer.status, answer.body) == (200, BODY)


def test_the_edge_says_503_before_a_body_and_ends_the_connection_within_one(
    store: S3Objects, edge: OpenEdge, proxy: FaultProxy
) -> None:
    with proxy.broken(Fault(refuse=True)):
        answer = send("GET", edge.object_url(KEY))
    assert (answer.status, answer.code) == (503, "SlowDown")
    assert int(answer.headers["Retry-After"]) > 0
    url = urlsplit(edge.object_url(KEY))
    proxy.set(Fault(cut_after_bytes=1_500_000, times=2))
    connection = http.client.HTTPConnection(url.netloc, timeout=10)
    with closing(connection):
        connection.request("GET", url.path)
        response = connection.getresponse()
        assert response.status == 200
        proxy.set(Fault(refuse=True))
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()


def test_viewers_of_a_playlist_that_is_replaced_all_the_time_meet_whole_ones(
    store: S3Objects, edge: OpenEdge, direct: S3Objects
) -> None:
    texts = [b"#EXTM3U\n" + b"%d" % n * 9_000 for n in range(4)]
    direct.put_bytes("videos/v1/a.m3u8", texts[0])
    stop = threading.Event()

    def replace_it() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            direct.put_bytes("videos/v1/a.m3u8", texts[n % 4])

    thread = threading.Thread(target=replace_it)
    thread.start()
    try:
        answers = [send("GET", edge.object_url("videos/v1/a.m3u8")) for _ in range(60)]
    finally:
        stop.set()
        thread.join()
    assert {answer.status for answer in answers} <= {200, 503}
    whole = [answer for answer in answers if answer.status == 200]
    assert all(answer.body in texts for answer in whole)
    assert len(whole) > 40


def test_what_is_gone_is_not_found_and_not_busy(store: S3Objects, direct: S3Objects) -> None:
    direct.delete(KEY)
    with pytest.raises(NotFound):
        store.read(KEY)
