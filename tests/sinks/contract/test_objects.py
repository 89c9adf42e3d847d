"""What `Objects` promises of single objects, over every implementation."""

import hashlib
import threading
from contextlib import closing
from pathlib import Path

import pytest

from millrace.sinks.ports import InvalidKey, Listed, NotFound, Objects, PreconditionFailed

KEY = "videos/v1/240p/abc/0.m4s"


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 9000])
def test_what_was_put_is_what_is_read(objects: Objects, tmp_path: Path, body: bytes) -> None:
    (tmp_path / "file").write_bytes(body)
    put = objects.put_file(KEY, tmp_path / "file")
    assert put == objects.head(KEY)
    assert (put.size_bytes, put.etag) == (len(body), md5(body))
    assert objects.read(KEY) == body
    assert objects.put_bytes(KEY + "2", body).etag == put.etag


def test_a_file_changed_after_it_was_put_changes_nothing_stored(
    objects: Objects, tmp_path: Path
) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"first")
    objects.put_file(KEY, source)
    source.write_bytes(b"other")
    assert objects.read(KEY) == b"first"


def test_a_missing_file_is_said_and_nothing_is_stored(objects: Objects, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        objects.put_file(KEY, tmp_path / "nothing")
    assert objects.head(KEY) is None


def test_the_type_follows_from_the_suffix_unless_it_is_given(objects: Objects) -> None:
    types = {
        "a.m3u8": "application/vnd.apple.mpegurl",
        "a.mpd": "application/dash+xml",
        "a.m4s": "video/iso.segment",
        "a.mp4": "video/mp4",
        "a.jpg": "image/jpeg",
        "a": "application/octet-stream",
    }
    assert {key: objects.put_bytes(key, b"").content_type for key in types} == types
    assert objects.put_bytes("b", b"", content_type="text/plain").content_type == "text/plain"
    with pytest.raises(ValueError, match="media type"):
        objects.put_bytes("c", b"", content_type="text/plain\r\nX-Evil: 1")


def test_playlists_are_mutable_unless_it_is_said_otherwise(objects: Objects) -> None:
    assert objects.put_bytes("a.m3u8", b"").mutable
    assert objects.put_bytes("a.mpd", b"").mutable
    assert not objects.put_bytes("a.m4s", b"").mutable
    assert not objects.put_bytes("b.m3u8", b"", mutable=False).mutable
    assert objects.put_bytes("b.m4s", b"", mutable=True).mutable


def test_ranges_are_read_and_past_the_end_there_is_nothing(objects: Objects) -> None:
    objects.put_bytes(KEY, b"0123456789")
    assert objects.read(KEY, 3) == b"3456789"
    assert objects.read(KEY, 3, 2) == b"34"
    assert objects.read(KEY, 8, 100) == b"89"
    assert objects.read(KEY, 10) == b""
    assert objects.read(KEY, 99, 1) == b""
    assert objects.read(KEY, 0, 0) == b""


def test_what_is_not_there_is_not_found(objects: Objects, tmp_path: Path) -> None:
    assert objects.head(KEY) is None
    for call in (
        lambda: objects.read(KEY),
        lambda: objects.download(KEY, tmp_path / "to"),
        lambda: objects.copy(KEY, "other"),
    ):
        with pytest.raises(NotFound):
            call()
    objects.delete(KEY)
    assert objects.delete_prefix("videos/") == 0


def test_a_download_is_whole_and_replaces_nothing(objects: Objects, tmp_path: Path) -> None:
    stat = objects.put_bytes(KEY, b"bytes")
    assert objects.download(KEY, tmp_path / "to") == stat
    assert (tmp_path / "to").read_bytes() == b"bytes"
    with pytest.raises(FileExistsError):
        objects.download(KEY, tmp_path / "to")
    with pytest.raises(FileNotFoundError):
        objects.download(KEY, tmp_path / "no folder" / "to")


def test_a_download_stays_what_it_was_when_the_object_goes(
    objects: Objects, tmp_path: Path
) -> None:
    objects.put_bytes(KEY, b"old")
    objects.download(KEY, tmp_path / "to")
    objects.put_bytes(KEY, b"new")
    objects.delete(KEY)
    assert (tmp_path / "to").read_bytes() == b"old"


def test_a_copy_lives_on_without_its_source(objects: Objects) -> None:
    source = objects.put_bytes("a.m3u8", b"bytes", content_type="text/plain", mutable=False)
    copied = objects.copy("a.m3u8", KEY)
    objects.delete("a.m3u8")
    assert (copied.etag, copied.content_type, copied.mutable) == (source.etag, "text/plain", False)
    assert objects.head(KEY) == copied
    assert objects.read(KEY) == b"bytes"


def test_a_copy_onto_itself_is_the_object(objects: Objects) -> None:
    objects.put_bytes(KEY, b"bytes")
    objects.copy(KEY, KEY)
    assert objects.read(KEY) == b"bytes"


def test_conditions_decide_and_change_nothing_where_they_fail(objects: Objects) -> None:
    with pytest.raises(PreconditionFailed):
        objects.put_bytes(KEY, b"1", if_match=md5(b"0"))
    first = objects.put_bytes(KEY, b"1", if_none_match=True)
    with pytest.raises(PreconditionFailed):
        objects.put_bytes(KEY, b"2", if_none_match=True)
    with pytest.raises(PreconditionFailed):
        objects.put_bytes(KEY, b"2", if_match=md5(b"0"))
    assert objects.read(KEY) == b"1"
    objects.put_bytes(KEY, b"2", if_match=first.etag)
    with pytest.raises(PreconditionFailed):
        objects.put_bytes(KEY, b"1", if_match=first.etag)
    assert objects.read(KEY) == b"2"


def test_of_writers_that_all_expect_the_same_object_one_wins(objects: Objects) -> None:
    start = objects.put_bytes(KEY, b"start").etag
    won: list[bytes] = []

    def replace(body: bytes) -> None:
        try:
            objects.put_bytes(KEY, body, if_match=start)
        except PreconditionFailed:
            return
        won.append(body)

    threads = [threading.Thread(target=replace, args=(b"%d" % n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [objects.read(KEY)]


def test_a_prefix_is_deleted_to_its_slash_and_no_further(objects: Objects) -> None:
    for key in ("videos/v1/a", "videos/v1/b/c", "videos/v10/a", "videos/v1.m3u8"):
        objects.put_bytes(key, b"")
    assert objects.delete_prefix("videos/v1/") == 2
    assert [stat.key for stat in objects.list()] == ["videos/v1.m3u8", "videos/v10/a"]
    assert objects.delete_prefix("videos/v1/") == 0
    with pytest.raises(InvalidKey):
        objects.delete_prefix("videos/v1")
    with pytest.raises(InvalidKey):
        objects.delete_prefix("")


def test_lists_come_in_pages_by_key(objects: Objects) -> None:
    keys = [*sorted(f"a/{n}" for n in range(25)), "a~", "b/1"]
    # What sorts around the slash, which a walk through folders would get wrong.
    around = ["c-1", "c.1", "c/1", "c/2/3", "c0", "c~1"]
    for key in reversed(keys + around):
        objects.put_bytes(key, key.encode())
    assert [stat.key for stat in objects.list("a/")] == keys[:25]
    found: list[str] = []
    while page := objects.list("a", found[-1] if found else "", limit=10):
        found += [stat.key for stat in page]
    assert found == keys[:26]
    assert objects.list("zzz") == ()
    assert [stat.key for stat in objects.list("c")] == around
    assert [stat.key for stat in objects.list("c", "c.1", limit=2)] == around[2:4]


def test_a_list_says_what_head_says(objects: Objects) -> None:
    stat = objects.put_bytes(KEY, b"bytes")
    assert objects.list(KEY) == (Listed(KEY, 5, stat.etag, stat.modified_ms),)


def test_a_key_below_another_object_is_kept_or_refused_whole(objects: Objects) -> None:
    objects.put_bytes("a/b", b"1")
    for key in ("a", "a/b/c"):
        try:
            objects.put_bytes(key, b"2")
        except InvalidKey:
            assert objects.head(key) is None
        else:
            assert objects.read(key) == b"2"
    assert objects.read("a/b") == b"1"


def test_an_object_is_read_in_pieces_of_one_version(objects: Objects) -> None:
    body = bytes(range(256)) * 16_384
    objects.put_bytes(KEY, body)
    with closing(objects.open(KEY)) as opened:
        assert opened.stat == objects.head(KEY)
        assert list(opened.pieces(1, 0)) == []
        pieces = list(opened.pieces(3, 3_000_000))
        assert max(map(len, pieces)) <= 1 << 20
        assert b"".join(pieces) == body[3:3_000_003]
        assert b"".join(opened.pieces(0, len(body))) == body
    with closing(objects.open(KEY)) as opened:
        objects.put_bytes(KEY, b"another version")
        try:
            read = b"".join(opened.pieces(0, len(body)))
        except PreconditionFailed:
            read = body
        assert read == body
    with pytest.raises(NotFound):
        objects.open("none")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "a\\b",
        "a b",
        "a\n",
        "ä",
        "a\x00",
        "a?",
        "a" * 201,
        "/".join(["a" * 200, "b" * 200, "c" * 111]),
        "%2e%2e/a",
    ],
)
def test_what_is_no_key_is_refused_everywhere(objects: Objects, tmp_path: Path, key: str) -> None:
    objects.put_bytes("good", b"")
    for call in (
        lambda: objects.put_bytes(key, b""),
        lambda: objects.put_file(key, tmp_path / "nothing"),
        lambda: objects.head(key),
        lambda: objects.read(key),
        lambda: objects.download(key, tmp_path / "to"),
        lambda: objects.copy("good", key),
        lambda: objects.delete(key),
        lambda: objects.start(key),
        lambda: objects.presign_part(key, "u", 1, 1, 1),
    ):
        with pytest.raises(InvalidKey):
            call()
    assert [stat.key for stat in objects.list()] == ["good"]


LONGEST = "/".join(["a" * 200, "b" * 200, "c" * 110])


@pytest.mark.parametrize(
    "key", [LONGEST, "a/b.c", "...", ".a", "a" * 200, "originals/v~1/(u)", "a=b,c:d@e"]
)
def test_what_is_a_key_is_kept(objects: Objects, key: str) -> None:
    objects.put_bytes(key, b"replaced")
    objects.put_bytes(key, key.encode())
    assert [stat.key for stat in objects.list()] == [key]
    assert objects.read(key) == key.encode()
