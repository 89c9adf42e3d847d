"""Puts one object on S3 in one piece, verified on its way and looked at afterwards.

It must never take an unanswered PUT for a failed one: the bytes may be there all the same.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypedDict

from botocore.exceptions import ClientError

from millrace.sinks.parts import bare
from millrace.sinks.ports import InvalidKey, ObjectStat, PreconditionFailed, StoreBusy
from millrace.sinks.s3_client import BROKEN, Attempts, busy, code_of, status_of
from millrace.sinks.s3_stats import described, head

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# How servers over a file system say that a key is another's folder, or lies below another object.
NO_PLACE = {"ExistingObjectIsDirectory", "ObjectParentIsFile", "KeyTooLongError"}


class Conditions(TypedDict, total=False):
    """S3's names."""

    IfMatch: str
    IfNoneMatch: str


@dataclass(frozen=True, slots=True)
class Put:
    """What is to be stored, and on which conditions."""

    key: str
    size_bytes: int
    md5: bytes
    content_type: str
    mutable: bool
    if_match: str | None
    if_none_match: bool

    @property
    def etag(self) -> str:
        return self.md5.hex()


def put(client: S3Client, bucket: str, what: Put, open_body: Callable[[], BinaryIO]) -> ObjectStat:
    """Raises PreconditionFailed, InvalidKey, StoreBusy, and what open_body raises."""
    attempts = Attempts()
    while True:
        try:
            stored = _send(client, bucket, what, open_body)
            break
        except (ClientError, *BROKEN) as error:
            problem = busy(error)
            if problem is not None:
                attempts.again(problem)
                continue
            refusal = _refusal(what, error)
            ours = attempts.begun > 1 and isinstance(refusal, PreconditionFailed)
            if not ours or not _is_there(client, bucket, what):
                raise refusal from error
            # An attempt that was not answered had done it.
            stored = what.etag
            break
    assert stored == what.etag, f"{what.key}: the store's ETag {stored} is no MD5 of the bytes"
    return _seen(client, bucket, what)


def _send(client: S3Client, bucket: str, what: Put, open_body: Callable[[], BinaryIO]) -> str:
    """One PUT; the ETag that the store answered."""
    conditions: Conditions = {}
    if what.if_match is not None:
        conditions["IfMatch"] = f'"{bare(what.if_match)}"'
    if what.if_none_match:
        conditions["IfNoneMatch"] = "*"
    with open_body() as body:
        said = client.put_object(
            Body=body,
            ContentLength=what.size_bytes,
            ContentMD5=base64.b64encode(what.md5).decode(),
            **described(bucket, what.key, what.content_type, what.mutable),
            **conditions,
        )
    return bare(said["ETag"])


def _refusal(what: Put, error: Exception) -> Exception:
    """What the store's no means to the caller."""
    if not isinstance(error, ClientError):
        return error
    if status_of(error) == 412 or (what.if_match is not None and status_of(error) == 404):
        return PreconditionFailed(f"{what.key}: {error}")
    if code_of(error) in NO_PLACE:
        return InvalidKey(f"{what.key}: {error}")
    return error


def _is_there(client: S3Client, bucket: str, what: Put) -> bool:
    stat = head(client, bucket, what.key)
    return stat is not None and stat.etag == what.etag


def _seen(client: S3Client, bucket: str, what: Put) -> ObjectStat:
    """What HEAD says of what was put; of an object that was replaced since, what was put."""
    stat = head(client, bucket, what.key)
    if stat is None:
        raise StoreBusy(f"{what.key} was said to be stored, and is not there")
    if stat.etag == what.etag:
        assert stat.size_bytes == what.size_bytes, f"{stat} of {what.size_bytes} bytes"
        return stat
    return ObjectStat(
        what.key, what.size_bytes, what.etag, what.content_type, stat.modified_ms, what.mutable
    )
