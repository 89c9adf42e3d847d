"""What S3 says of an object, as `ObjectStat` has it; and what is stored beside its bytes for that.

It must never say that an object is there without the store having said so just now.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import ClientError

from millrace.sinks.caching import cache_control
from millrace.sinks.object_keys import is_mutable
from millrace.sinks.parts import bare
from millrace.sinks.ports import ObjectStat
from millrace.sinks.s3_client import patiently, status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# User metadata, x-amz-meta-mutable: S3 keeps it and gives it back with HEAD.
_MUTABLE = "mutable"
_SAYS = {"true": True, "false": False}


class Described(TypedDict):
    """The fields of a request that makes an object, all but its bytes; S3's names."""

    Bucket: str
    Key: str
    ContentType: str
    CacheControl: str
    Metadata: dict[str, str]


def described(bucket: str, key: str, content_type: str, mutable: bool) -> Described:
    """What is stored beside the bytes: their type, how long caches keep them, and why."""
    return {
        "Bucket": bucket,
        "Key": key,
        "ContentType": content_type,
        "CacheControl": cache_control(mutable),
        "Metadata": {_MUTABLE: "true" if mutable else "false"},
    }


def head(client: S3Client, bucket: str, key: str) -> ObjectStat | None:
    """What is there, None where nothing is. Raises StoreBusy."""
    try:
        said = patiently(lambda: client.head_object(Bucket=bucket, Key=key))
    except ClientError as error:
        if status_of(error) == 404:
            return None
        raise
    mutable = _SAYS.get(said["Metadata"].get(_MUTABLE, ""))
    return ObjectStat(
        key,
        said["ContentLength"],
        bare(said["ETag"]),
        said["ContentType"],
        milliseconds(said["LastModified"]),
        is_mutable(key, mutable),
    )


def milliseconds(at: datetime) -> int:
    """Of the epoch, to the second: HEAD says no more, and lists are to say the same."""
    return int(at.timestamp()) * 1_000
