"""A prepared bucket: private, open to uploads from the pages that were named, listed whole."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from millrace.sinks.ports import StoreBusy
from millrace.sinks.s3_bucket import prepare
from millrace.sinks.s3_client import S3Place, open_client
from millrace.sinks.s3_objects import PAGE, S3Objects
from tests.sinks.door_client import Answer, send
from tests.sinks.s3_store import RealClock, emptied, fresh_bucket, s3_store
from tests.stack.servers import SharedS3

KEY = "originals/v1/u1"


@pytest.fixture(scope="module")
def place(s3_server: SharedS3) -> S3Place:
    return fresh_bucket(s3_server)


@pytest.fixture(scope="module")
def opened(place: S3Place) -> Iterator[S3Objects]:
    with s3_store(place) as store:
        yield store


@pytest.fixture
def store(opened: S3Objects) -> S3Objects:
    return emptied(opened)


def preflight(store: S3Objects, origin: str, method: str = "PUT") -> Answer:
    url = store.presign_part(KEY, "upload", 1, 5, RealClock().in_ms(60_000))
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    return send("OPTIONS", url, headers=asked)


def test_pages_that_were_named_may_put_parts_and_others_may_not(
    place: S3Place, store: S3Objects
) -> None:
    prepare(place, ("https://studio.example",))
    granted = preflight(store, "https://studio.example")
    assert granted.status in (200, 204)
    assert granted.headers["Access-Control-Allow-Origin"] == "https://studio.example"
    assert "PUT" in granted.headers["Access-Control-Allow-Methods"]
    assert preflight(store, "https://elsewhere.example").status == 403
    assert preflight(store, "https://studio.example", "DELETE").status == 403
    prepare(place)
    assert preflight(store, "https://elsewhere.example").status in (200, 204)


def test_a_page_may_read_the_etag_of_its_part(store: S3Objects) -> None:
    upload = store.start(KEY)
    url = store.presign_part(KEY, upload, 1, 5, RealClock().in_ms(60_000))
    answer = send("PUT", url, b"bytes", {"Origin": "https://studio.example"})
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://studio.example")
    exposed = answer.headers["Access-Control-Expose-Headers"].lower().replace(" ", "").split(",")
    assert {"etag", "content-length", "content-range", "accept-ranges"} <= set(exposed)


def test_preparing_again_changes_nothing(place: S3Place, store: S3Objects) -> None:
    store.put_bytes(KEY, b"bytes")
    prepare(place)
    assert [listed.key for listed in store.list()] == [KEY]


def test_nothing_is_read_without_the_edge(place: S3Place, store: S3Objects) -> None:
    store.put_bytes(KEY, b"bytes")
    for path in (KEY, "", "?list-type=2", "?uploads"):
        assert send("GET", f"{place.endpoint_url}/{place.bucket}/{path}").status == 403


def test_a_server_that_is_down_is_busy(place: S3Place) -> None:
    with pytest.raises(StoreBusy):
        prepare(replace(place, endpoint_url="http://127.0.0.1:1"))


def test_lists_and_deletions_go_on_over_the_stores_pages(place: S3Place, store: S3Objects) -> None:
    keys = [f"videos/v1/{n:04}" for n in range(PAGE + 5)]
    client = open_client(place)
    with closing(client), ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda key: client.put_object(Bucket=place.bucket, Key=key), keys))
    assert [listed.key for listed in store.list("videos/", limit=PAGE + 3)] == keys[: PAGE + 3]
    assert [listed.key for listed in store.list("videos/", limit=2 * PAGE)] == keys
    assert store.delete_prefix("videos/v1/") == len(keys)
    assert store.list() == ()


def test_uploads_are_listed_over_the_stores_pages_whatever_keys_they_share(
    s3_server: SharedS3,
) -> None:
    # Two uploads of one key lie on both sides of the page's end.
    keys = [f"originals/v{n:04}/u" for n in range(PAGE - 1)]
    keys += ["originals/v0999/u"] * 2 + ["originals/v1000/u"] * 3
    with s3_store(fresh_bucket(s3_server)) as store, ThreadPoolExecutor(4) as threads:
        begun = set(threads.map(store.start, keys))
        found = list(store.uploads("originals/"))
    assert [each.key for each in found] == keys
    assert {each.multipart_id for each in found} == begun
