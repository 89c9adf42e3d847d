"""The object store's port: bytes under keys, with S3's shape.

It must never say how bytes are kept: a directory and S3 keep the same promises.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """An object that is stored whole. `etag` is bare hex, without quotes; `md5(md5s)-N` of N parts.

    `mutable` says that other bytes may come under this key, so that caches keep it for seconds.
    """

    key: str
    size_bytes: int
    etag: str
    content_type: str
    modified_ms: int
    mutable: bool = False


class Part(NamedTuple):
    """A part of an upload that the store has; numbers from 1 to 10 000."""

    number: int
    size_bytes: int
    etag: str


class Listed(NamedTuple):
    """What a list says of an object: less than HEAD does, which S3 answers one by one."""

    key: str
    size_bytes: int
    etag: str
    modified_ms: int


class OpenUpload(NamedTuple):
    """A multipart upload that was begun and neither completed nor aborted."""

    key: str
    multipart_id: str
    started_ms: int


class OpenObject(Protocol):
    """One version of an object, to be read in pieces. Close it; calls block, one at a time."""

    @property
    def stat(self) -> ObjectStat:
        """What was there when it was opened."""
        ...

    def pieces(self, start: int, length: int) -> Iterator[bytes]:
        """These bytes of that version, in pieces of 1 MiB at most; all of them or it raises.

        Raises StoreBusy; PreconditionFailed where another version or none is there by now, from a
        store that keeps only what is there.
        """
        ...

    def close(self) -> None:
        """Idempotent."""
        ...


class Objects(Protocol):
    """Bytes under keys, with S3's shape. Calls block; any thread or process may make them.

    A key is segments of `[A-Za-z0-9._~=@+!*'(),:-]` joined by `/`, none empty, `.` or `..`, of 200
    characters at most each and 512 in all; any other raises InvalidKey, and so may one that is
    another object's folder or lies below another object. An object is seen whole or not at all,
    and one that a call returned from survives kill -9 of this process and of the store's; whether
    it survives loss of power is the store's own word. Every call may raise StoreBusy (the caller
    waits with backoff), and repeating a call that did is always safe. Times of objects are as
    fine as the store keeps them: S3 has seconds.

    `content_type` None takes the one that the key's suffix says. `mutable` None means true of
    playlists (.m3u8, .mpd), false of everything else. `if_match` is the ETag that must be there,
    `if_none_match` that nothing may be; otherwise PreconditionFailed. Of writers that expect the
    same, one wins. After StoreBusy a condition may fail for the caller's own earlier try: look.
    """

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str | None = None,
        mutable: bool | None = None,
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectStat:
        """Stores a file and verifies that what is stored has the size and MD5 of what was read.

        Raises FileNotFoundError where there is no such file. The store may take the file itself
        (a hard link, made read-only): the caller may delete it, but must not write to it again.
        Idempotent without conditions.
        """
        ...

    def put_bytes(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str | None = None,
        mutable: bool | None = None,
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectStat:
        """As put_file, for what is small: playlists, posters. Idempotent without conditions."""
        ...

    def head(self, key: str) -> ObjectStat | None:
        """What is stored, None where nothing readable is: an object said here can be read."""
        ...

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Bytes from `start` on, `length` at most, to the end where None. Raises NotFound.

        Past the end there are no bytes, and that is no error.
        """
        ...

    def open(self, key: str) -> OpenObject:
        """What is there now, for reading it in pieces. Raises NotFound."""
        ...

    def download(self, key: str, path: Path) -> ObjectStat:
        """Puts the object at `path`, which must not exist; it is whole or it is not there.

        The file is read-only: it may be the stored bytes themselves. Raises NotFound,
        FileExistsError.
        """
        ...

    def copy(self, source: str, key: str) -> ObjectStat:
        """The same bytes and type under another key, without carrying them. Raises NotFound."""
        ...

    def delete(self, key: str) -> None:
        """Idempotent: deleting what is not there succeeds."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Deletes all objects below a prefix ending in `/`; how many there were. Idempotent."""
        ...

    def list(self, prefix: str = "", after: str = "", limit: int = 1000) -> tuple[Listed, ...]:
        """Objects whose key begins with `prefix` and sorts after `after`, by key, `limit` at most.

        The next page is asked for with the last key; a page that is not full is the last one.
        """
        ...

    def start(self, key: str, content_type: str | None = None) -> str:
        """Begins a multipart upload; its id. Not idempotent: an upload nobody knows is swept."""
        ...

    def uploads(self, prefix: str = "") -> Iterator[OpenUpload]:
        """Uploads below a prefix that nobody ended, by key: what a reconciler looks through.

        Of one key's the store may leave out all but its first thousand until those have ended.
        """
        ...

    def presign_part(
        self,
        key: str,
        multipart_id: str,
        number: int,
        size_bytes: int,
        expires_at_ms: int,
        sha256: str | None = None,
    ) -> str:
        """URL to PUT one part to, bound to method, key, upload, number and length. Does no I/O.

        It is good until then, and for seven days at most. A body of any other Content-Length is
        refused with 4xx. Where `sha256`, hex, is given, the PUT must carry it as base64 in the
        header x-amz-checksum-sha256, and bytes that hash to anything else are refused with 4xx.
        Whether the upload exists is checked when the part comes. ValueError: number outside 1 to
        10 000, a negative size, no SHA-256. The answer to the PUT carries the part's ETag; of a
        part sent twice the last stays.
        """
        ...

    def list_parts(self, key: str, multipart_id: str) -> tuple[Part, ...]:
        """The parts that the store has, by number. Raises NoSuchUpload; after complete too."""
        ...

    def complete(self, key: str, multipart_id: str, parts: Mapping[int, str]) -> ObjectStat:
        """Joins `parts`, number -> ETag, by number, into the object, and answers what HEAD says.

        Raises InvalidPart naming parts that the store lacks, has with another ETag, or that are
        not last and under 5 MiB; and where `parts` is empty. Then the upload stays as it was.
        A repeat with the same parts answers the same; with others InvalidPart, or NoSuchUpload
        from a store that does not remember what it completed. NoSuchUpload where it was aborted.
        kill -9 at any point leaves the upload completable or the object there; until a store that
        was killed is whole again, StoreBusy.
        The object's size is not checked against anything: the caller does.
        """
        ...

    def abort(self, key: str, multipart_id: str) -> None:
        """Throws the parts away. Idempotent; a completed upload and its object stay."""
        ...

    def presign_get(self, path: str, expires_at_ms: int) -> str:
        """Base URL under which readers GET `path` until then: base + key (PLY-3). Does no I/O.

        `path` is a prefix ending in `/`, which opens everything below it, or one object's key.
        The base ends in `/s/{token}/`, so relative addresses in playlists keep working. The token
        depends on path and time alone: round the time for URLs that caches can share.
        """
        ...
