"""Multipart uploads in the directory store: parts arrive in any order and become one object.

It must never make a part or an object visible before its bytes are flushed, nor touch a part's
bytes before the object that holds them is committed: so kill -9 finds one or the other.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from millrace.sinks.blobs import Blobs, BlobWriter
from millrace.sinks.notifications import made_event
from millrace.sinks.object_index import (
    StoredObject,
    StoredPart,
    Upload,
    delete_parts,
    delete_upload,
    find_object,
    find_parts,
    find_upload,
    put_notification,
    put_object,
    put_part,
    put_upload,
)
from millrace.sinks.object_keys import check_key, content_type_of, is_mutable
from millrace.sinks.parts import choose, etag_of, joined_etag
from millrace.sinks.ports import InvalidPart, NoSuchUpload, ObjectStat, Part
from millrace.sinks.signing import PART_NUMBER_MAX
from millrace.sinks.sqlite_database import Database


class Multipart:
    """The multipart calls of `Objects`, and how the store's door brings in a part."""

    def __init__(self, index: Database, blobs: Blobs, now_ms: Callable[[], int]) -> None:
        self._index = index
        self._blobs = blobs
        self._now_ms = now_ms

    def start(self, key: str, content_type: str | None) -> str:
        kind = content_type_of(check_key(key), content_type)
        upload = Upload(uuid.uuid4().hex, key, kind, self._now_ms(), None)
        with self._index.writing() as connection:
            put_upload(connection, upload)
        return upload.id

    def open_part(self, key: str, multipart_id: str, number: int, with_sha256: bool) -> BlobWriter:
        """Where to write a part's bytes. Raises NoSuchUpload, ValueError: no part's number."""
        if not 1 <= number <= PART_NUMBER_MAX:
            raise ValueError(f"part numbers are 1 to {PART_NUMBER_MAX}, not {number}")
        self._open_upload(key, multipart_id)
        return self._blobs.create(with_sha256)

    def keep_part(self, key: str, multipart_id: str, number: int, writer: BlobWriter) -> Part:
        """Flushes what was written and makes it the part. Raises NoSuchUpload, StoreBusy."""
        blob = writer.finish()
        part = Part(number, writer.size_bytes, writer.md5.hexdigest())
        try:
            with self._index.writing() as connection:
                upload = find_upload(connection, multipart_id)
                if upload is None or upload.key != key or upload.etag is not None:
                    raise NoSuchUpload(multipart_id)
                replaced = find_parts(connection, multipart_id).get(number)
                put_part(connection, multipart_id, StoredPart(part, blob))
        except BaseException:
            self._blobs.remove([blob])
            raise
        if replaced is not None:
            self._blobs.remove([replaced.blob])
        return part

    def list_parts(self, key: str, multipart_id: str) -> tuple[Part, ...]:
        self._open_upload(key, multipart_id)
        with self._index.reading() as connection:
            stored = find_parts(connection, multipart_id)
        return tuple(each.part for each in stored.values())

    def complete(self, key: str, multipart_id: str, parts: Mapping[int, str]) -> ObjectStat:
        upload = self._upload(key, multipart_id)
        if upload.etag is None:
            try:
                return self._complete_open(upload, parts)
            except InvalidPart:
                # Another call may have completed it while this one looked, and taken the parts.
                upload = self._upload(key, multipart_id)
                if upload.etag is None:
                    raise
        if etag_of(parts) != upload.etag:
            raise InvalidPart(sorted(parts), "the upload is complete, of other parts")
        with self._index.reading() as connection:
            stored = find_object(connection, key)
        if stored is None or stored.stat.etag != upload.etag:
            raise NoSuchUpload(multipart_id)
        return stored.stat

    def abort(self, key: str, multipart_id: str) -> None:
        with self._index.writing() as connection:
            upload = find_upload(connection, multipart_id)
            if upload is None or upload.key != check_key(key) or upload.etag is not None:
                return
            rubbish = delete_parts(connection, multipart_id)
            delete_upload(connection, multipart_id)
        self._blobs.remove(rubbish)

    def _upload(self, key: str, multipart_id: str) -> Upload:
        with self._index.reading() as connection:
            upload = find_upload(connection, multipart_id)
        if upload is None or upload.key != check_key(key):
            raise NoSuchUpload(multipart_id)
        return upload

    def _open_upload(self, key: str, multipart_id: str) -> Upload:
        upload = self._upload(key, multipart_id)
        if upload.etag is not None:
            raise NoSuchUpload(multipart_id)
        return upload

    def _complete_open(self, upload: Upload, parts: Mapping[int, str]) -> ObjectStat:
        with self._index.reading() as connection:
            there = find_parts(connection, upload.id)
        wanted = choose({number: each.part for number, each in there.items()}, parts)
        chosen = [there[part.number] for part in wanted]
        joined = self._join(chosen)
        stat = ObjectStat(
            upload.key,
            joined.size_bytes,
            joined_etag([each.part.etag for each in chosen]),
            upload.content_type,
            self._now_ms(),
            is_mutable(upload.key, None),
        )
        try:
            rubbish = self._commit(upload, chosen, StoredObject(stat, joined.blob))
        except BaseException:
            self._blobs.remove([joined.blob])
            raise
        self._blobs.remove(rubbish)
        return stat

    def _join(self, chosen: Sequence[StoredPart]) -> BlobWriter:
        lost = [
            each.part.number
            for each in chosen
            if not self._blobs.holds(each.blob, each.part.size_bytes)
        ]
        if lost:
            raise InvalidPart(lost, "their bytes are not in the store any more")
        try:
            return self._blobs.join([each.blob for each in chosen])
        except FileNotFoundError as error:
            raise InvalidPart(
                [each.part.number for each in chosen], "replaced meanwhile"
            ) from error

    def _commit(
        self, upload: Upload, chosen: Sequence[StoredPart], stored: StoredObject
    ) -> tuple[str, ...]:
        """Makes the object appear; the blobs that nobody needs now."""
        with self._index.writing() as connection:
            if find_upload(connection, upload.id) is None:
                raise NoSuchUpload(upload.id)
            there = find_parts(connection, upload.id)
            changed = [e.part.number for e in chosen if there.get(e.part.number) != e]
            if changed:
                raise InvalidPart(changed, "sent again while the upload was being completed")
            replaced = find_object(connection, upload.key)
            put_object(connection, stored)
            put_upload(connection, replace(upload, etag=stored.stat.etag))
            put_notification(connection, json.dumps(made_event(stored.stat, upload.id)))
            rubbish = delete_parts(connection, upload.id)
        return rubbish if replaced is None else (*rubbish, replaced.blob)
