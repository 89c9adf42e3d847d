"""Multipart uploads on S3: browsers PUT the parts; this begins, lists, completes and aborts.

A completion's own answer is never believed: servers say yes to what they did not do, and repeats
are answered from whatever list came with them (measured). What counts is a HEAD with the ETag
that these parts must have, and their size.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from millrace.sinks.object_keys import check_key, content_type_of, is_mutable
from millrace.sinks.parts import bare, choose, etag_of
from millrace.sinks.ports import (
    InvalidPart,
    NoSuchUpload,
    ObjectStat,
    OpenUpload,
    Part,
    StoreBusy,
)
from millrace.sinks.s3_client import code_of, patiently
from millrace.sinks.s3_stats import described, head, milliseconds

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        ListMultipartUploadsRequestTypeDef,
        ListPartsRequestTypeDef,
    )

# Looks for an object that the store says is being made: another call's joining ends in between.
LOOKS_MAX = 8
LOOK_AGAIN_S = 0.1
_REFUSED_PARTS = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall"}


class S3Multipart:
    """The multipart calls of `Objects` on one bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def start(self, key: str, content_type: str | None) -> str:
        kind = content_type_of(check_key(key), content_type)
        asked = described(self._bucket, key, kind, is_mutable(key, None))
        return patiently(lambda: self._client.create_multipart_upload(**asked))["UploadId"]

    def list_parts(self, key: str, multipart_id: str) -> tuple[Part, ...]:
        asked: ListPartsRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": check_key(key),
            "UploadId": multipart_id,
        }
        found: list[Part] = []
        while True:
            with _known(multipart_id):
                page = patiently(lambda: self._client.list_parts(**asked))
            found += [
                Part(part["PartNumber"], part["Size"], bare(part["ETag"]))
                for part in page.get("Parts", ())
            ]
            if not page["IsTruncated"]:
                return tuple(found)
            asked["PartNumberMarker"] = page["NextPartNumberMarker"]

    def complete(self, key: str, multipart_id: str, parts: Mapping[int, str]) -> ObjectStat:
        etag = etag_of(parts)
        try:
            there = self.list_parts(key, multipart_id)
        except NoSuchUpload:
            if etag is None:
                raise
            return self._completed(key, multipart_id, parts, etag)
        chosen = choose({part.number: part for part in there}, parts)
        self._join(key, multipart_id, {part.number: part.etag for part in chosen})
        stat = self._look(key, etag)
        if stat is None or stat.etag != etag:
            raise StoreBusy(f"{key} was said to be complete, and is not there")
        size_bytes = sum(part.size_bytes for part in chosen)
        assert stat.size_bytes == size_bytes, f"{key}: {stat.size_bytes} of {size_bytes} bytes"
        return stat

    def abort(self, key: str, multipart_id: str) -> None:
        check_key(key)
        with suppress(NoSuchUpload), _known(multipart_id):
            patiently(
                lambda: self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=multipart_id
                )
            )

    def uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """Pages by KeyMarker alone, which is what every server keeps (measured)."""
        asked: ListMultipartUploadsRequestTypeDef = {"Bucket": self._bucket, "Prefix": prefix}
        while True:
            page = patiently(lambda: self._client.list_multipart_uploads(**asked))
            found = [
                OpenUpload(each["Key"], each["UploadId"], milliseconds(each["Initiated"]))
                for each in page.get("Uploads", ())
            ]
            if not page["IsTruncated"]:
                yield from found
                return
            # The last key's uploads may go on in the next page, which begins after its marker: so
            # they wait for it, unless they are all that there is in this one.
            last = found[-1].key
            whole = [each for each in found if each.key < last]
            yield from whole or found
            asked["KeyMarker"] = whole[-1].key if whole else last

    def _join(self, key: str, multipart_id: str, etags: Mapping[int, str]) -> None:
        """Asks for the object, and believes nothing but a no. Raises InvalidPart, NoSuchUpload."""
        listed: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())
        ]
        try:
            with _known(multipart_id):
                patiently(
                    lambda: self._client.complete_multipart_upload(
                        Bucket=self._bucket,
                        Key=key,
                        UploadId=multipart_id,
                        MultipartUpload={"Parts": listed},
                    )
                )
        except ClientError as error:
            if code_of(error) in _REFUSED_PARTS:
                raise InvalidPart(sorted(etags), "refused by the store") from error
            raise

    def _completed(
        self, key: str, multipart_id: str, parts: Mapping[int, str], etag: str
    ) -> ObjectStat:
        """An upload that the store does not know (any more), if it became this object."""
        stat = head(self._client, self._bucket, key)
        if stat is None or stat.etag != etag:
            # It may be another call's, on its way, or one that a killed store has hidden: then the
            # store says yes to this. It says no where there is no such upload.
            self._join(key, multipart_id, {number: bare(tag) for number, tag in parts.items()})
            stat = self._look(key, etag)
        if stat is None:
            raise StoreBusy(f"{key} is said to be complete, and is not there")
        if stat.etag != etag:
            raise NoSuchUpload(multipart_id)
        return stat

    def _look(self, key: str, etag: str | None) -> ObjectStat | None:
        """What is there, after some looks if it is not what it should become."""
        stat = head(self._client, self._bucket, key)
        for _ in range(LOOKS_MAX):
            if stat is not None and stat.etag == etag:
                break
            threading.Event().wait(LOOK_AGAIN_S)
            stat = head(self._client, self._bucket, key)
        return stat


@contextmanager
def _known(multipart_id: str) -> Iterator[None]:
    """Raises NoSuchUpload where the store says that there is no such upload."""
    try:
        yield
    except ClientError as error:
        if code_of(error) == "NoSuchUpload":
            raise NoSuchUpload(multipart_id) from error
        raise
