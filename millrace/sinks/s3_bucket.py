"""Makes the bucket what the store needs: there, open to browsers' uploads, and of MD5 ETags.

Run once by an operator's command, and again without harm. It must never loosen who may read:
objects are private, and the public reads through the edge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from millrace.sinks.parts import bare
from millrace.sinks.ports import SinkError
from millrace.sinks.s3_client import S3Place, code_of, open_client, patiently, status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef

# Written and deleted by `prepare`; no key of the product begins so.
_PROBE = "prepare/probe"
_CORS_AGE_S = 3_600
# The region that is named by not being named.
_FIRST_REGION = "us-east-1"


class Unsuitable(SinkError):
    """The bucket cannot keep what `Objects` promises: an operator's to mend, no wait helps."""


def prepare(place: S3Place, origins: Sequence[str] = ("*",)) -> None:
    """Makes the bucket if it is missing, lets pages of `origins` PUT parts, and tries it out.

    Idempotent. Raises StoreBusy; Unsuitable where the bucket is another's, its ETags are no MD5s,
    or conditions of a PUT are not kept.
    """
    client = open_client(place)
    try:
        _create(client, place)
        rule = _cors(origins)
        patiently(
            lambda: client.put_bucket_cors(
                Bucket=place.bucket, CORSConfiguration={"CORSRules": [rule]}
            )
        )
        _try_out(client, place.bucket)
    finally:
        client.close()


def _create(client: S3Client, place: S3Place) -> None:
    try:
        if place.region == _FIRST_REGION:
            patiently(lambda: client.create_bucket(Bucket=place.bucket))
            return
        patiently(
            lambda: client.create_bucket(
                Bucket=place.bucket,
                # The stubs list AWS's regions; other servers have their own.
                CreateBucketConfiguration={"LocationConstraint": place.region},  # type: ignore[typeddict-item]
            )
        )
    except ClientError as error:
        if code_of(error) == "BucketAlreadyOwnedByYou":
            return
        if code_of(error) == "BucketAlreadyExists":
            raise Unsuitable(f"the bucket {place.bucket} is another's") from error
        raise


def _cors(origins: Sequence[str]) -> CORSRuleTypeDef:
    """What a page needs to PUT parts and to read what became of them (ING-1)."""
    return {
        "AllowedOrigins": list(origins),
        "AllowedMethods": ["GET", "HEAD", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag", "Content-Length", "Content-Range", "Accept-Ranges"],
        "MaxAgeSeconds": _CORS_AGE_S,
    }


def _try_out(client: S3Client, bucket: str) -> None:
    body = b"what the store depends on"
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    patiently(lambda: client.delete_object(Bucket=bucket, Key=_PROBE))
    said = patiently(lambda: client.put_object(Bucket=bucket, Key=_PROBE, Body=body))
    if bare(said["ETag"]) != md5:
        raise Unsuitable(f"the ETags of {bucket} are no MD5s: is it encrypted with KMS?")
    if not _refuses(lambda: client.put_object(Bucket=bucket, Key=_PROBE, IfNoneMatch="*")):
        raise Unsuitable("the server does not keep If-None-Match of a PUT")
    other = f'"{"0" * 32}"'
    if not _refuses(lambda: client.put_object(Bucket=bucket, Key=_PROBE, IfMatch=other)):
        raise Unsuitable("the server does not keep If-Match of a PUT")
    patiently(lambda: client.delete_object(Bucket=bucket, Key=_PROBE))


def _refuses(put: Callable[[], object]) -> bool:
    try:
        patiently(put)
    except ClientError as error:
        if status_of(error) == 412:
            return True
        raise
    return False
