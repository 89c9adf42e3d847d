"""GET and HEAD at the edge, over a directory and over S3: who may read, which bytes, how long
caches keep them (PLY-3)."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest

from tests.sinks.door_client import OpenStore, open_store, send
from tests.sinks.s3_store import OpenEdge, emptied, fresh_bucket, open_edge
from tests.stack.servers import SharedS3

Opened = OpenStore | OpenEdge

SEGMENT = "videos/v1/240p/abc/0.m4s"
PLAYLIST = "videos/v1/master.m3u8"
BODY = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def s3_edge(s3_server: SharedS3) -> Iterator[OpenEdge]:
    with open_edge(fresh_bucket(s3_server)) as opened:
        yield opened


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStore]:
    with open_store(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture(params=["door", "s3_edge"])
def opened(request: pytest.FixtureRequest) -> Opened:
    opened: Opened = request.getfixturevalue(request.param)
    if isinstance(opened, OpenEdge):
        emptied(opened.store)
    opened.store.put_bytes(SEGMENT, BODY)
    opened.store.put_bytes(PLAYLIST, b"#EXTM3U\n")
    return opened


@pytest.fixture
def base(opened: Opened) -> str:
    return opened.store.presign_get("videos/v1/", opened.clock.in_ms(60_000))


def test_an_object_is_read_whole(opened: Opened, base: str) -> None:
    answer = send("GET", base + SEGMENT)
    assert (answer.status, answer.body) == (200, BODY)
    stat = opened.store.head(SEGMENT)
    assert stat is not None
    assert answer.etag == stat.etag
    assert answer.headers["Content-Type"] == "video/iso.segment"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_object_larger_than_a_piece_is_read_whole_and_in_ranges(
    opened: Opened, base: str
) -> None:
    body = BODY * 400
    opened.store.put_bytes("videos/v1/large.mp4", body)
    assert send("GET", base + "videos/v1/large.mp4").body == body
    answer = send("GET", base + "videos/v1/large.mp4", headers={"Range": "bytes=1000-3000000"})
    assert answer.body == body[1000:3000001]


def test_head_is_get_without_the_bytes(base: str) -> None:
    got, head = send("GET", base + SEGMENT), send("HEAD", base + SEGMENT)
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "ETag", "Content-Type", "Cache-Control", "Last-Modified"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=10200-", 10200, 10239),
        ("bytes=-40", 10200, 10239),
        ("bytes=10-999999", 10, 10239),
        ("bytes=-999999", 0, 10239),
    ],
)
def test_a_range_is_answered_with_its_bytes(base: str, asked: str, first: int, last: int) -> None:
    answer = send("GET", base + SEGMENT, headers={"Range": asked})
    assert (answer.status, answer.body) == (206, BODY[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/10240"


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
def test_a_range_outside_is_416_and_says_the_size(base: str, asked: str) -> None:
    answer = send("GET", base + SEGMENT, headers={"Range": asked})
    assert (answer.status, answer.code) == (416, "InvalidRange")
    assert answer.headers["Content-Range"] == "bytes */10240"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-2",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-1,5-6",
        "lines=0-1",
        "",
        "bytes=" + "9" * 30 + "-",
    ],
)
def test_what_is_no_single_range_is_ignored(base: str, asked: str) -> None:
    answer = send("GET", base + SEGMENT, headers={"Range": asked})
    assert (answer.status, answer.body) == (200, BODY)


def test_if_range_gives_the_whole_where_the_bytes_are_others(base: str) -> None:
    known = send("HEAD", base + SEGMENT)
    for condition, status in (
        (known.headers["ETag"], 206),
        (known.headers["Last-Modified"], 206),
        ('"other"', 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
    ):
        headers = {"Range": "bytes=0-9", "If-Range": condition}
        assert send("GET", base + SEGMENT, headers=headers).status == status


def test_bytes_that_the_client_has_are_not_sent_again(base: str) -> None:
    known = send("HEAD", base + SEGMENT)
    for headers, status in (
        ({"If-None-Match": known.headers["ETag"]}, 304),
        ({"If-None-Match": f'"x", W/{known.headers["ETag"]}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-None-Match": "garbage,,"}, 200),
        ({"If-Modified-Since": known.headers["Last-Modified"]}, 304),
        ({"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "never"}, 200),
        ({"If-Modified-Since": known.headers["Last-Modified"], "If-None-Match": '"x"'}, 200),
        ({"If-Match": known.headers["ETag"]}, 200),
        ({"If-Match": '"x"'}, 412),
    ):
        answer = send("GET", base + SEGMENT, headers=headers)
        assert answer.status == status, headers
        if status == 304:
            assert answer.body == b""
            assert answer.headers["ETag"] == known.headers["ETag"]
            assert "Cache-Control" in answer.headers


def test_what_never_changes_is_cached_for_a_year_and_playlists_for_seconds(
    opened: Opened, base: str
) -> None:
    opened.store.put_bytes("videos/v1/0123abcd.m3u8", b"#EXTM3U\n", mutable=False)
    year = "public, max-age=31536000, immutable"
    assert send("GET", base + SEGMENT).headers["Cache-Control"] == year
    assert send("GET", base + "videos/v1/0123abcd.m3u8").headers["Cache-Control"] == year
    seconds = send("GET", base + PLAYLIST).headers["Cache-Control"]
    assert re.fullmatch(r"public, max-age=[1-3]", seconds)


def test_a_missing_object_is_404_and_cached_briefly(base: str) -> None:
    answer = send("GET", base + "videos/v1/none.m4s")
    assert (answer.status, answer.code) == (404, "NoSuchKey")
    assert answer.headers["Cache-Control"] == "public, max-age=1"


def test_expired_altered_and_foreign_tokens_are_forbidden_and_never_cached(
    opened: Opened, base: str
) -> None:
    opened.store.put_bytes("videos/v2/0.m4s", b"")
    opened.store.put_bytes("originals/v1/u1", b"")
    for url in (
        base + "videos/v2/0.m4s",
        base + "originals/v1/u1",
        base[:-2] + ("A" if base[-2] != "A" else "B") + "/" + SEGMENT,
        f"{opened.url}/s/none/{SEGMENT}",
        opened.object_url(SEGMENT, valid_ms=0),
        base + "videos/v2/none",
    ):
        answer = send("GET", url)
        assert (answer.status, answer.code) == (403, "AccessDenied"), url
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "videos/v1/../v2/0.m4s",
        "videos/v1/%2e%2e/v2/0.m4s",
        "videos/v1/..%2f..%2f..%2fetc/passwd",
        "../../../../etc/passwd",
        "videos//v1",
        "videos/v1/./0.m4s",
        "videos/v1/a%00b",
        "videos/v1/a%0d%0ab",
        "videos/v1/%ff",
        "videos/v1/a%5cb",
        "videos/v1/",
        "videos/v1/" + "x" * 600,
    ],
)
def test_a_path_that_names_no_object_is_a_bad_request(base: str, path: str) -> None:
    answer = send("GET", base + path)
    assert (answer.status, answer.code) == (400, "InvalidURI")


def test_there_is_no_way_to_read_without_a_token(opened: Opened) -> None:
    for path in (f"/millrace/{SEGMENT}", f"/{SEGMENT}", "/", "/index.sqlite", "/s/", "/s/x"):
        assert send("GET", opened.url + path).status in (403, 404, 405), path


def test_relative_addresses_in_a_playlist_keep_the_token(base: str) -> None:
    assert send("GET", urljoin(base + PLAYLIST, "240p/abc/0.m4s")).status == 200


def test_pages_of_every_origin_may_read_and_upload(opened: Opened, base: str) -> None:
    asked = {
        "Origin": "http://page",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type, x-amz-checksum-sha256",
    }
    for url in (base + SEGMENT, opened.part_url("originals/v1/u", "upload", 1)):
        preflight = send("OPTIONS", url, headers=asked)
        assert preflight.status in (200, 204)
        assert preflight.headers["Access-Control-Allow-Origin"] in ("*", "http://page")
        assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
        assert "x-amz-checksum-sha256" in preflight.headers["Access-Control-Allow-Headers"].lower()
    for answer in (
        send("GET", base + SEGMENT, headers={"Origin": "http://page"}),
        send("GET", base + "videos/v1/none", headers={"Origin": "http://page"}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        for name in ("ETag", "Content-Length", "Content-Range", "Accept-Ranges"):
            assert name in answer.headers["Access-Control-Expose-Headers"]
