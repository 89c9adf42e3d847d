"""One S3 endpoint as boto3 sees it, and which of its errors mean "later".

Any server that speaks S3's signature version 4 with path addresses. It must never repeat a call
without a bound, read a setting from the environment, or turn an unknown error into StoreBusy.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import (
    ConnectionError as S3ConnectionError,
)
from botocore.parsers import ResponseParserError

from millrace.sinks.ports import StoreBusy, StoreFull

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

# A server on the same network answers in milliseconds; one that says nothing for so long is slow.
CONNECT_S = 2.0
SILENCE_S = 10.0
# Threads of one process that may talk to the store at once, above every caller's own bound.
CONNECTIONS_MAX = 64
# Repeats are for a moment's trouble; what lasts longer is the caller's to wait for, with its own
# backoff. No repeat is begun after PATIENCE_S, so that a slow store holds a thread for one silence.
ATTEMPTS_MAX = 4
BACKOFF_S = 0.1
PATIENCE_S = 5.0
# S3's codes for "later" that do not come with a 5xx:
# docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_BUSY_CODES = {
    "BadDigest",  # what arrived is not what was sent
    "ConditionalRequestConflict",
    "IncompleteBody",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "XAmzContentSHA256Mismatch",
}
_BUSY_STATUSES = {408, 429}
# No answer, none in time, or one that broke off.
BROKEN = (S3ConnectionError, HTTPClientError, IncompleteReadError, ResponseParserError)
_FULL_CODES = {"InsufficientStorage", "NoSpaceLeftOnDevice", "QuotaExceeded"}
_FULL_STATUS = 507


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket, and who may write to it. Addresses are scheme and host, without a path.

    `public_url` is where browsers reach the same server, `endpoint_url` where it is empty. A server
    that says nothing for `silence_s` seconds in the middle of an answer is slow. The bucket's ETags
    are MD5s: no encryption with SSE-KMS or SSE-C (`prepare` finds out).
    """

    endpoint_url: str
    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str = "us-east-1"
    public_url: str = ""
    silence_s: float = SILENCE_S


def open_client(place: S3Place) -> S3Client:
    """A client for all threads of this process; opens no connection yet."""
    session = boto3.session.Session(
        aws_access_key_id=place.access_key_id,
        aws_secret_access_key=place.secret_access_key,
        region_name=place.region,
    )
    # Checksum trailers that not every server knows are left out: Content-MD5, the signed SHA-256
    # of the body and the ETag say the same. Proxies of the environment are not for this.
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_S,
        read_timeout=place.silence_s,
        max_pool_connections=CONNECTIONS_MAX,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        proxies={},
    )
    client: S3Client = session.client("s3", endpoint_url=place.endpoint_url, config=config)
    return client


def busy(error: Exception) -> StoreBusy | None:
    """What the error is to the caller if it means "later"; None where it means something else."""
    if isinstance(error, BROKEN):
        return StoreBusy(str(error))
    if not isinstance(error, ClientError):
        return None
    if code_of(error) in _FULL_CODES or status_of(error) == _FULL_STATUS:
        return StoreFull(str(error))
    status = status_of(error)
    if code_of(error) in _BUSY_CODES or status >= 500 or status in _BUSY_STATUSES:
        return StoreBusy(str(error))
    return None


def code_of(error: ClientError) -> str:
    """S3's code; the status as text where the answer had no body."""
    return error.response["Error"].get("Code", "")


def status_of(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


class Attempts:
    """Says how often a call that was busy may be repeated, and waits in between."""

    def __init__(self) -> None:
        self._until = time.monotonic() + PATIENCE_S
        self.begun = 1

    def again(self, problem: StoreBusy) -> None:
        """Returns when it is time for the next attempt. Raises the problem where there is none."""
        if self.begun >= ATTEMPTS_MAX or time.monotonic() > self._until:
            raise problem
        # Spread, so that those who were refused together do not come back together.
        pause_s = BACKOFF_S * 2 ** (self.begun - 1) * random.uniform(0.5, 1.5)
        threading.Event().wait(pause_s)
        self.begun += 1


def patiently(call: Callable[[], T]) -> T:
    """The call's answer, repeated a few times while it is busy. It must be safe to repeat.

    Raises StoreBusy, StoreFull; ClientError for everything else that the store refused.
    """
    attempts = Attempts()
    while True:
        try:
            return call()
        except (ClientError, *BROKEN) as error:
            problem = busy(error)
            if problem is None:
                raise
            attempts.again(problem)
