"""What `Objects` promises of multipart uploads, over every implementation (ING-1 to ING-5)."""

import hashlib
import threading
from base64 import b64encode

import pytest

from millrace.sinks.ports import InvalidPart, NoSuchUpload, Objects, ObjectStat, Part
from tests.sinks.door_client import Answer, send

KEY = "originals/v1/u1"
PART = b"0123456789abcdef" * (5 << 16)  # 5 MiB, the least that may stand before another
LAST = b"the end"
NEVER = "0" * 32


def put_part(objects: Objects, upload: str, number: int, body: bytes, soon_ms: int) -> Answer:
    answer = send("PUT", objects.presign_part(KEY, upload, number, len(body), soon_ms), body)
    assert answer.status == 200, answer
    return answer


def upload_two(objects: Objects, soon_ms: int) -> tuple[str, dict[int, str]]:
    upload = objects.start(KEY, "video/mp4")
    first = put_part(objects, upload, 1, PART, soon_ms)
    return upload, {1: first.etag, 2: put_part(objects, upload, 2, LAST, soon_ms).etag}


def etag_of(*bodies: bytes) -> str:
    digests = [hashlib.md5(body, usedforsecurity=False).digest() for body in bodies]
    joined = hashlib.md5(b"".join(digests), usedforsecurity=False)
    return f"{joined.hexdigest()}-{len(bodies)}"


def test_parts_become_one_object(objects: Objects, soon_ms: int) -> None:
    upload, parts = upload_two(objects, soon_ms)
    assert objects.head(KEY) is None
    stat = objects.complete(KEY, upload, parts)
    assert stat == objects.head(KEY)
    assert (stat.size_bytes, stat.content_type) == (len(PART) + len(LAST), "video/mp4")
    assert stat.etag == etag_of(PART, LAST)
    assert objects.read(KEY) == PART + LAST


def test_parts_may_come_in_any_order_and_have_gaps_in_their_numbers(
    objects: Objects, soon_ms: int
) -> None:
    upload = objects.start(KEY)
    last = put_part(objects, upload, 10_000, LAST, soon_ms).etag
    first = put_part(objects, upload, 7, PART, soon_ms).etag
    objects.complete(KEY, upload, {10_000: last, 7: first})
    assert objects.read(KEY) == PART + LAST


def test_the_store_says_which_parts_it_has(objects: Objects, soon_ms: int) -> None:
    upload = objects.start(KEY)
    assert objects.list_parts(KEY, upload) == ()
    etag = put_part(objects, upload, 3, LAST, soon_ms).etag
    assert objects.list_parts(KEY, upload) == (Part(3, len(LAST), etag),)


def test_the_last_of_a_part_sent_twice_stays(objects: Objects, soon_ms: int) -> None:
    upload = objects.start(KEY)
    old = put_part(objects, upload, 1, b"old", soon_ms).etag
    new = put_part(objects, upload, 1, b"new", soon_ms).etag
    with pytest.raises(InvalidPart):
        objects.complete(KEY, upload, {1: old})
    objects.complete(KEY, upload, {1: new})
    assert objects.read(KEY) == b"new"


def test_one_empty_part_makes_an_empty_object(objects: Objects, soon_ms: int) -> None:
    upload = objects.start(KEY)
    etag = put_part(objects, upload, 1, b"", soon_ms).etag
    assert objects.complete(KEY, upload, {1: etag}).size_bytes == 0
    assert objects.read(KEY) == b""


def test_completing_again_is_the_same_answer(objects: Objects, soon_ms: int) -> None:
    upload, parts = upload_two(objects, soon_ms)
    stat = objects.complete(KEY, upload, parts)
    quoted = {number: f'"{etag.upper()}"' for number, etag in parts.items()}
    assert objects.complete(KEY, upload, parts) == stat
    assert objects.complete(KEY, upload, quoted) == stat


def test_completing_again_with_other_parts_is_refused(objects: Objects, soon_ms: int) -> None:
    upload, parts = upload_two(objects, soon_ms)
    objects.complete(KEY, upload, parts)
    stat = objects.head(KEY)
    for others in ({1: parts[1]}, {1: NEVER, 2: parts[2]}, {1: "not an etag"}, {}):
        with pytest.raises((InvalidPart, NoSuchUpload)):
            objects.complete(KEY, upload, others)
    assert objects.head(KEY) == stat


def test_completing_at_once_from_many_threads_is_one_object(objects: Objects, soon_ms: int) -> None:
    upload, parts = upload_two(objects, soon_ms)
    stats: list[ObjectStat] = []
    threads = [
        threading.Thread(target=lambda: stats.append(objects.complete(KEY, upload, parts)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stats == [objects.head(KEY)] * 6


def test_wrong_and_missing_parts_are_named_and_the_upload_stays(
    objects: Objects, soon_ms: int
) -> None:
    upload, parts = upload_two(objects, soon_ms)
    with pytest.raises(InvalidPart) as missing:
        objects.complete(KEY, upload, {**parts, 3: NEVER, 9: NEVER})
    assert missing.value.numbers == (3, 9)
    with pytest.raises(InvalidPart) as wrong:
        objects.complete(KEY, upload, {1: parts[2], 2: "garbage"})
    assert wrong.value.numbers == (1, 2)
    with pytest.raises(InvalidPart):
        objects.complete(KEY, upload, {})
    assert objects.head(KEY) is None
    assert len(objects.list_parts(KEY, upload)) == 2
    objects.complete(KEY, upload, parts)


def test_a_small_part_may_only_be_the_last(objects: Objects, soon_ms: int) -> None:
    upload = objects.start(KEY)
    small = put_part(objects, upload, 1, LAST, soon_ms).etag
    large = put_part(objects, upload, 2, PART, soon_ms).etag
    with pytest.raises(InvalidPart) as refused:
        objects.complete(KEY, upload, {1: small, 2: large})
    assert refused.value.numbers == (1,)


def test_an_aborted_upload_is_gone_and_aborting_again_is_fine(
    objects: Objects, soon_ms: int
) -> None:
    upload, parts = upload_two(objects, soon_ms)
    objects.abort(KEY, upload)
    objects.abort(KEY, upload)
    with pytest.raises(NoSuchUpload):
        objects.list_parts(KEY, upload)
    with pytest.raises(NoSuchUpload):
        objects.complete(KEY, upload, parts)
    late = send("PUT", objects.presign_part(KEY, upload, 1, len(LAST), soon_ms), LAST)
    assert (late.status, late.code) == (404, "NoSuchUpload")


def test_aborting_a_completed_upload_leaves_its_object(objects: Objects, soon_ms: int) -> None:
    upload, parts = upload_two(objects, soon_ms)
    stat = objects.complete(KEY, upload, parts)
    objects.abort(KEY, upload)
    assert objects.head(KEY) == stat
    assert objects.complete(KEY, upload, parts) == stat


def test_a_completed_upload_takes_no_more_parts(objects: Objects, soon_ms: int) -> None:
    upload, parts = upload_two(objects, soon_ms)
    objects.complete(KEY, upload, parts)
    late = send("PUT", objects.presign_part(KEY, upload, 1, 4, soon_ms), b"late")
    assert (late.status, late.code) == (404, "NoSuchUpload")
    with pytest.raises(NoSuchUpload):
        objects.list_parts(KEY, upload)
    assert objects.read(KEY, 0, 16) == PART[:16]


def test_an_upload_belongs_to_its_key(objects: Objects, soon_ms: int) -> None:
    upload, parts = upload_two(objects, soon_ms)
    for call in (
        lambda: objects.list_parts("originals/v2/u1", upload),
        lambda: objects.complete("originals/v2/u1", upload, parts),
        lambda: objects.list_parts(KEY, "no such upload"),
        lambda: objects.complete(KEY, "no such upload", parts),
    ):
        with pytest.raises(NoSuchUpload):
            call()
    objects.abort("originals/v2/u1", upload)
    objects.complete(KEY, upload, parts)


def test_completing_what_was_deleted_since_finds_no_upload(objects: Objects, soon_ms: int) -> None:
    upload, parts = upload_two(objects, soon_ms)
    objects.complete(KEY, upload, parts)
    objects.delete(KEY)
    with pytest.raises(NoSuchUpload):
        objects.complete(KEY, upload, parts)


def test_two_uploads_of_one_key_do_not_mix(objects: Objects, soon_ms: int) -> None:
    one, two = objects.start(KEY), objects.start(KEY)
    first = put_part(objects, one, 1, b"one", soon_ms).etag
    second = put_part(objects, two, 1, b"two", soon_ms).etag
    objects.complete(KEY, one, {1: first})
    objects.complete(KEY, two, {1: second})
    assert objects.read(KEY) == b"two"


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_part_numbers_have_bounds(objects: Objects, soon_ms: int, number: int) -> None:
    with pytest.raises(ValueError, match="part numbers"):
        objects.presign_part(KEY, "u", number, 1, soon_ms)


def test_a_part_of_another_length_than_was_signed_is_refused(
    objects: Objects, soon_ms: int
) -> None:
    upload = objects.start(KEY)
    for body in (b"", LAST[:-1], LAST + b"!"):
        answer = send("PUT", objects.presign_part(KEY, upload, 1, len(LAST), soon_ms), body)
        assert 400 <= answer.status < 500, answer
    assert objects.list_parts(KEY, upload) == ()


def test_a_part_is_bound_to_its_digest_where_one_was_given(objects: Objects, soon_ms: int) -> None:
    upload = objects.start(KEY)
    digest = hashlib.sha256(LAST)
    url = objects.presign_part(KEY, upload, 1, len(LAST), soon_ms, digest.hexdigest())
    right = {"x-amz-checksum-sha256": b64encode(digest.digest()).decode()}
    other = {"x-amz-checksum-sha256": b64encode(hashlib.sha256(b"").digest()).decode()}
    for body, headers in ((LAST, {}), (LAST, other), (LAST[:-1] + b"!", right)):
        answer = send("PUT", url, body, headers)
        assert 400 <= answer.status < 500, answer
    assert objects.list_parts(KEY, upload) == ()
    assert send("PUT", url, LAST, right).status == 200
    assert [part.size_bytes for part in objects.list_parts(KEY, upload)] == [len(LAST)]
    with pytest.raises(ValueError, match="SHA-256"):
        objects.presign_part(KEY, upload, 1, 1, soon_ms, "no digest")


def test_altered_and_expired_part_addresses_are_forbidden(objects: Objects, soon_ms: int) -> None:
    upload = objects.start(KEY)
    url = objects.presign_part(KEY, upload, 1, len(LAST), soon_ms)
    for wrong in (
        url.replace("partNumber=1", "partNumber=2"),
        url.replace(KEY, "originals/v2/u1"),
        objects.presign_part(KEY, upload, 1, len(LAST), soon_ms - 120_000),
    ):
        assert send("PUT", wrong, LAST).status == 403, wrong
    assert objects.list_parts(KEY, upload) == ()


def test_uploads_that_nobody_ended_are_listed_by_key(objects: Objects, soon_ms: int) -> None:
    keys = ["originals/v1/u1", "originals/v1/u2", "originals/v2/u3", "other/v1"]
    begun = {key: objects.start(key) for key in reversed(keys)}
    completed = objects.start("originals/v3/u4")
    answer = send("PUT", objects.presign_part("originals/v3/u4", completed, 1, 1, soon_ms), b"1")
    objects.complete("originals/v3/u4", completed, {1: answer.etag})
    found = list(objects.uploads("originals/"))
    assert [(each.key, each.multipart_id) for each in found] == [
        (key, begun[key]) for key in keys[:3]
    ]
    assert all(abs(each.started_ms - soon_ms) < 120_000 for each in found)
    objects.abort(keys[0], begun[keys[0]])
    assert [each.key for each in objects.uploads()] == keys[1:]
