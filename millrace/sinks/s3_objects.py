"""The object store on S3, or on any server that speaks it: boto3 in the caller's thread.

Bytes go to S3 and browsers PUT their parts there; the public reads through the edge (door.py),
which alone can check a path's token. It must never say that something is stored which the store
was not asked about afterwards.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path

from millrace.sinks.blobs import read_file
from millrace.sinks.busy import busy_errors
from millrace.sinks.object_keys import check_key, check_path, content_type_of, is_mutable
from millrace.sinks.parts import bare
from millrace.sinks.ports import (
    InvalidKey,
    Listed,
    NotFound,
    ObjectStat,
    OpenUpload,
    Part,
    PreconditionFailed,
    StoreBusy,
)
from millrace.sinks.s3_client import S3Place, open_client, patiently
from millrace.sinks.s3_multipart import S3Multipart
from millrace.sinks.s3_putting import Put, put
from millrace.sinks.s3_reading import S3Object
from millrace.sinks.s3_signing import PartSigner
from millrace.sinks.s3_stats import head, milliseconds
from millrace.sinks.signing import Signer

# S3's largest page of a list, and most keys of one deletion.
PAGE = 1_000
_READ_ONLY = 0o444


class S3Objects:
    """`Objects` in one bucket, which `prepare` (s3_bucket.py) has made. For all threads.

    `signer` makes readers' addresses, which the edge checks; `now_ms` is the clock, milliseconds of
    the epoch. Open it in each process, after a fork. An object put in one piece has 5 GiB at most.
    """

    def __init__(self, place: S3Place, signer: Signer, now_ms: Callable[[], int]) -> None:
        self._client = open_client(place)
        self._bucket = place.bucket
        self._multipart = S3Multipart(self._client, place.bucket)
        self._parts = PartSigner(place, now_ms)
        self._signer = signer

    def close(self) -> None:
        self._client.close()

    # ------------------------------------------------------------ objects

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
        kind, changes = content_type_of(check_key(key), content_type), is_mutable(key, mutable)
        md5 = hashlib.md5(usedforsecurity=False)
        size_bytes = 0
        for piece in read_file(path):
            md5.update(piece)
            size_bytes += len(piece)
        what = Put(key, size_bytes, md5.digest(), kind, changes, if_match, if_none_match)
        return put(self._client, self._bucket, what, lambda: path.open("rb"))

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
        kind, changes = content_type_of(check_key(key), content_type), is_mutable(key, mutable)
        md5 = hashlib.md5(body, usedforsecurity=False).digest()
        what = Put(key, len(body), md5, kind, changes, if_match, if_none_match)
        return put(self._client, self._bucket, what, lambda: BytesIO(body))

    def head(self, key: str) -> ObjectStat | None:
        return head(self._client, self._bucket, check_key(key))

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        while True:
            with closing(self.open(key)) as opened:
                rest = max(0, opened.stat.size_bytes - start)
                wanted = rest if length is None else min(rest, length)
                with suppress(PreconditionFailed):
                    return b"".join(opened.pieces(start, wanted))

    def open(self, key: str) -> S3Object:
        stat = self.head(key)
        if stat is None:
            raise NotFound(key)
        return S3Object(self._client, self._bucket, stat)

    def download(self, key: str, path: Path) -> ObjectStat:
        check_key(key)
        if not path.parent.is_dir():
            raise FileNotFoundError(path.parent)
        if path.exists():
            raise FileExistsError(path)
        while True:
            with closing(self.open(key)) as opened, suppress(PreconditionFailed):
                place(opened, path)
                return opened.stat

    def copy(self, source: str, key: str) -> ObjectStat:
        there = self.open(source).stat
        if check_key(key) == source:
            return there
        patiently(
            lambda: self._client.copy_object(
                Bucket=self._bucket,
                Key=key,
                CopySource={"Bucket": self._bucket, "Key": source},
            )
        )
        stat = self.head(key)
        if stat is None or stat.size_bytes != there.size_bytes:
            raise StoreBusy(f"{key} was said to be a copy of {source}, and is not")
        return stat

    def delete(self, key: str) -> None:
        check_key(key)
        patiently(lambda: self._client.delete_object(Bucket=self._bucket, Key=key))

    def delete_prefix(self, prefix: str) -> int:
        if not prefix.endswith("/"):
            raise InvalidKey(f"a prefix to delete ends in /: {prefix!r:.100}")
        check_path(prefix)
        deleted = 0
        while page := self.list(prefix, limit=PAGE):
            self._delete_all([each.key for each in page])
            deleted += len(page)
        return deleted

    def _delete_all(self, keys: Sequence[str]) -> None:
        said = patiently(
            lambda: self._client.delete_objects(
                Bucket=self._bucket,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )
        )
        if said.get("Errors"):
            raise StoreBusy(f"not deleted: {said['Errors'][0]}")

    def list(self, prefix: str = "", after: str = "", limit: int = PAGE) -> tuple[Listed, ...]:
        found: list[Listed] = []
        while len(found) < limit:
            start = found[-1].key if found else after
            page, more = self._page(prefix, start, min(PAGE, limit - len(found)))
            found += page
            if not more:
                break
        return tuple(found)

    def _page(self, prefix: str, after: str, limit: int) -> tuple[Sequence[Listed], bool]:
        """Some of a list, and whether there is more of it."""
        said = patiently(
            lambda: self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, StartAfter=after, MaxKeys=limit
            )
        )
        found = [
            Listed(e["Key"], e["Size"], bare(e["ETag"]), milliseconds(e["LastModified"]))
            for e in said.get("Contents", ())
        ]
        return found, said["IsTruncated"]

    # ------------------------------------------------------------ multipart

    def start(self, key: str, content_type: str | None = None) -> str:
        return self._multipart.start(key, content_type)

    def uploads(self, prefix: str = "") -> Iterator[OpenUpload]:
        return self._multipart.uploads(prefix)

    def presign_part(
        self,
        key: str,
        multipart_id: str,
        number: int,
        size_bytes: int,
        expires_at_ms: int,
        sha256: str | None = None,
    ) -> str:
        return self._parts.url(key, multipart_id, number, size_bytes, expires_at_ms, sha256)

    def list_parts(self, key: str, multipart_id: str) -> tuple[Part, ...]:
        return self._multipart.list_parts(key, multipart_id)

    def complete(self, key: str, multipart_id: str, parts: Mapping[int, str]) -> ObjectStat:
        return self._multipart.complete(key, multipart_id, parts)

    def abort(self, key: str, multipart_id: str) -> None:
        self._multipart.abort(key, multipart_id)

    def presign_get(self, path: str, expires_at_ms: int) -> str:
        return self._signer.reader_base(path, expires_at_ms)


def place(opened: S3Object, path: Path) -> None:
    """The object's bytes at `path`, read-only; whole, of the ETag's MD5, or nothing is there.

    Raises FileExistsError, PreconditionFailed, StoreBusy, StoreFull.
    """
    stat = opened.stat
    md5 = hashlib.md5(usedforsecurity=False)
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        with busy_errors(), part.open("xb") as file:
            for piece in opened.pieces(0, stat.size_bytes):
                file.write(piece)
                md5.update(piece)
        if "-" not in stat.etag and md5.hexdigest() != stat.etag:
            raise StoreBusy(f"{stat.key}: the bytes that came are not those of its ETag")
        with busy_errors():
            part.chmod(_READ_ONLY)
            path.hardlink_to(part)
    finally:
        part.unlink(missing_ok=True)
