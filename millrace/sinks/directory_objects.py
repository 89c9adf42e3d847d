"""The object store in a directory: blobs in files, names in an index, S3's promises over both.

Several processes may have one directory open. It must never write to a blob that a reader may
have, and never remove a file before the index has stopped naming it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from millrace.sinks.blobs import COPY_BYTES, Blobs, BlobWriter, read_file
from millrace.sinks.busy import busy_errors
from millrace.sinks.multipart import Multipart
from millrace.sinks.notifications import Notify, deliver
from millrace.sinks.object_index import (
    StoredObject,
    delete_objects,
    find_object,
    list_objects,
    named_blobs,
    open_index,
    open_uploads,
    prefix_bounds,
    put_object,
)
from millrace.sinks.object_keys import check_key, check_path, content_type_of, is_mutable
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
from millrace.sinks.signing import Signer

# What a writer that still lives may take from a blob's last byte to its name in the index.
SWEEP_BLOB_AGE_MS = 3_600_000
# An upload's session ends before, where nobody says how long one may last; then nobody aborted it
# (ING-5).
SWEEP_UPLOAD_AGE_MS = 7 * 86_400_000


class OpenFile:
    """`OpenObject`: the blob's bytes stay what they are, even if the object is replaced or gone."""

    def __init__(self, stat: ObjectStat, file: BinaryIO) -> None:
        self.stat = stat
        self._file = file

    def pieces(self, start: int, length: int) -> Iterator[bytes]:
        end = start + length
        for place in range(start, end, COPY_BYTES):
            with busy_errors():
                self._file.seek(place)
                piece = self._file.read(min(COPY_BYTES, end - place))
            if len(piece) < min(COPY_BYTES, end - place):
                raise StoreBusy(f"{self.stat.key}: its bytes end at {place + len(piece)}")
            yield piece

    def close(self) -> None:
        self._file.close()


class DirectoryObjects:
    """`Objects` below `root`, which is made if missing. Open it in each process, after a fork.

    What it answered for survives loss of power too.
    `notify`, where given, is called by `complete` from the calling thread, and by
    `deliver_notifications`. `now_ms` is the clock, in milliseconds of the epoch. An upload that is
    open for longer than `upload_age_ms_max` is swept: more than any session may last.
    """

    def __init__(
        self,
        root: Path,
        signer: Signer,
        now_ms: Callable[[], int],
        notify: Notify | None = None,
        upload_age_ms_max: int = SWEEP_UPLOAD_AGE_MS,
    ) -> None:
        self._blobs = Blobs(root / "blobs")
        self._index = open_index(root / "index.sqlite")
        self._multipart = Multipart(self._index, self._blobs, now_ms)
        self._signer = signer
        self._now_ms = now_ms
        self._notify = notify
        self._upload_age_ms_max = upload_age_ms_max

    def close(self) -> None:
        self._index.close()

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
        self._check_condition(key, if_match, if_none_match)
        writer = self._blobs.write_from(read_file(path))
        return self._name(key, writer, kind, changes, if_match, if_none_match)

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
        self._check_condition(key, if_match, if_none_match)
        writer = self._blobs.write_from(iter((body,)))
        return self._name(key, writer, kind, changes, if_match, if_none_match)

    def head(self, key: str) -> ObjectStat | None:
        stored = self._find(key)
        return None if stored is None else stored.stat

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        with closing(self.open(key)) as opened:
            rest = max(0, opened.stat.size_bytes - start)
            return b"".join(opened.pieces(start, rest if length is None else min(rest, length)))

    def open(self, key: str) -> OpenFile:
        while (stored := self._find(key)) is not None:
            # Replaced between the index and the file: the index names another blob by now.
            with suppress(FileNotFoundError), busy_errors():
                return OpenFile(stored.stat, self._blobs.path(stored.blob).open("rb"))
        raise NotFound(key)

    def download(self, key: str, path: Path) -> ObjectStat:
        if not path.parent.is_dir():
            raise FileNotFoundError(path.parent)
        while (stored := self._find(key)) is not None:
            with suppress(FileNotFoundError):
                self._blobs.place(stored.blob, path)
                return stored.stat
        raise NotFound(key)

    def copy(self, source: str, key: str) -> ObjectStat:
        while (stored := self._find(source)) is not None:
            with suppress(FileNotFoundError):
                blob = self._blobs.link(stored.blob)
                old = stored.stat
                stat = ObjectStat(
                    check_key(key),
                    old.size_bytes,
                    old.etag,
                    old.content_type,
                    self._now_ms(),
                    old.mutable,
                )
                self._commit(StoredObject(stat, blob), None, False)
                return stat
        raise NotFound(source)

    def delete(self, key: str) -> None:
        self._delete(check_key(key), key)

    def delete_prefix(self, prefix: str) -> int:
        if not prefix.endswith("/"):
            raise InvalidKey(f"a prefix to delete ends in /: {prefix!r:.100}")
        return self._delete(*prefix_bounds(check_path(prefix)))

    def list(self, prefix: str = "", after: str = "", limit: int = 1000) -> tuple[Listed, ...]:
        with self._index.reading() as connection:
            found = [each.stat for each in list_objects(connection, prefix, after, limit)]
        return tuple(Listed(s.key, s.size_bytes, s.etag, s.modified_ms) for s in found)

    # ------------------------------------------------------------ multipart

    def start(self, key: str, content_type: str | None = None) -> str:
        return self._multipart.start(key, content_type)

    def uploads(self, prefix: str = "") -> Iterator[OpenUpload]:
        with self._index.reading() as connection:
            found = open_uploads(connection, prefix)
        yield from (OpenUpload(each.key, each.id, each.started_ms) for each in found)

    def presign_part(
        self,
        key: str,
        multipart_id: str,
        number: int,
        size_bytes: int,
        expires_at_ms: int,
        sha256: str | None = None,
    ) -> str:
        return self._signer.part_url(key, multipart_id, number, size_bytes, expires_at_ms, sha256)

    def open_part(self, key: str, multipart_id: str, number: int, with_sha256: bool) -> BlobWriter:
        """For the door: where a part's bytes go; then keep_part or the writer's discard."""
        return self._multipart.open_part(key, multipart_id, number, with_sha256)

    def keep_part(self, key: str, multipart_id: str, number: int, writer: BlobWriter) -> Part:
        """For the door: the part is stored when this returns."""
        return self._multipart.keep_part(key, multipart_id, number, writer)

    def list_parts(self, key: str, multipart_id: str) -> tuple[Part, ...]:
        return self._multipart.list_parts(key, multipart_id)

    def complete(self, key: str, multipart_id: str, parts: Mapping[int, str]) -> ObjectStat:
        stat = self._multipart.complete(key, multipart_id, parts)
        if self._notify is not None:
            # A log that is busy gets the notification later; the object is complete all the same.
            with suppress(StoreBusy):
                deliver(self._index, self._notify)
        return stat

    def abort(self, key: str, multipart_id: str) -> None:
        self._multipart.abort(key, multipart_id)

    def presign_get(self, path: str, expires_at_ms: int) -> str:
        return self._signer.reader_base(path, expires_at_ms)

    # ------------------------------------------------------------ the store's own upkeep

    def deliver_notifications(self) -> int:
        """Offers what was not delivered when the process ended; how many. Raises StoreBusy."""
        return 0 if self._notify is None else deliver(self._index, self._notify)

    def sweep(self) -> int:
        """Removes files nothing names, and uploads nobody ended; how many files went."""
        now_ms = self._now_ms()
        for upload in self.uploads():
            if upload.started_ms < now_ms - self._upload_age_ms_max:
                self._multipart.abort(upload.key, upload.multipart_id)
        # Files first, names second: what is named between the two is then among the names.
        old = list(self._blobs.unchanged_since(now_ms - SWEEP_BLOB_AGE_MS))
        with self._index.reading() as connection:
            named = named_blobs(connection)
        rubbish = [blob for blob in old if blob not in named]
        self._blobs.remove(rubbish)
        return len(rubbish)

    # ------------------------------------------------------------

    def _find(self, key: str) -> StoredObject | None:
        with self._index.reading() as connection:
            stored = find_object(connection, check_key(key))
        if stored is None or self._blobs.holds(stored.blob, stored.stat.size_bytes):
            return stored
        # Replaced since, or bytes that are lost: what cannot be read is not there.
        with self._index.reading() as connection:
            again = find_object(connection, key)
        return self._find(key) if again is not None and again.blob != stored.blob else None

    def _name(
        self,
        key: str,
        writer: BlobWriter,
        content_type: str,
        mutable: bool,
        if_match: str | None,
        if_none_match: bool,
    ) -> ObjectStat:
        etag = writer.md5.hexdigest()
        stat = ObjectStat(key, writer.size_bytes, etag, content_type, self._now_ms(), mutable)
        self._commit(StoredObject(stat, writer.blob), if_match, if_none_match)
        return stat

    def _commit(self, stored: StoredObject, if_match: str | None, if_none_match: bool) -> None:
        """Makes a flushed blob the object, or removes it."""
        try:
            with self._index.writing() as connection:
                there = find_object(connection, stored.stat.key)
                _check(there, if_match, if_none_match)
                put_object(connection, stored)
        except BaseException:
            self._blobs.remove([stored.blob])
            raise
        if there is not None:
            self._blobs.remove([there.blob])

    def _check_condition(self, key: str, if_match: str | None, if_none_match: bool) -> None:
        """Early, to spare the writing; what decides is the check within the transaction."""
        with self._index.reading() as connection:
            _check(find_object(connection, key), if_match, if_none_match)

    def _delete(self, first: str, last: str) -> int:
        with self._index.writing() as connection:
            rubbish = delete_objects(connection, first, last)
        self._blobs.remove(rubbish)
        return len(rubbish)


def _check(there: StoredObject | None, if_match: str | None, if_none_match: bool) -> None:
    if if_none_match and there is not None:
        raise PreconditionFailed(f"{there.stat.key} is there")
    if if_match is not None and (there is None or there.stat.etag != if_match.strip('"')):
        raise PreconditionFailed(f"the object is not {if_match}")
