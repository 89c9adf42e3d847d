"""Reads one version of an object, over as many answers as it takes.

An answer that breaks off is gone on with where it ended, bound to the same ETag. It must never
take a body that was cut for a whole one, nor join the bytes of two versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from millrace.sinks.ports import ObjectStat, PreconditionFailed, StoreBusy
from millrace.sinks.s3_client import BROKEN, Attempts, busy, status_of

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

PIECE_BYTES = 1 << 20


class S3Object:
    """`OpenObject` over S3: what HEAD said, and GETs that are bound to its ETag."""

    def __init__(self, client: S3Client, bucket: str, stat: ObjectStat) -> None:
        self.stat = stat
        self._client = client
        self._bucket = bucket
        self._bodies: list[StreamingBody] = []

    def pieces(self, start: int, length: int) -> Iterator[bytes]:
        place, end = start, start + length
        attempts = Attempts()
        while place < end:
            try:
                body = self._get(place, end)
                while piece := body.read(min(PIECE_BYTES, end - place)):
                    place += len(piece)
                    # It goes on: what comes after is a trouble of its own.
                    attempts = Attempts()
                    yield piece
            except (ClientError, *BROKEN) as error:
                attempts.again(self._problem(error))

    def close(self) -> None:
        # Not released but closed: nobody may be handed a connection with bytes left on it.
        while self._bodies:
            self._bodies.pop().close()

    def _get(self, start: int, end: int) -> StreamingBody:
        self.close()
        asked: GetObjectRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": self.stat.key,
            "IfMatch": f'"{self.stat.etag}"',
        }
        if (start, end) != (0, self.stat.size_bytes):
            asked["Range"] = f"bytes={start}-{end - 1}"
        body = self._client.get_object(**asked)["Body"]
        self._bodies.append(body)
        return body

    def _problem(self, error: Exception) -> StoreBusy:
        """What is worth another attempt; raises everything else."""
        problem = busy(error)
        if problem is not None:
            return problem
        if isinstance(error, ClientError) and status_of(error) in (404, 412):
            raise PreconditionFailed(f"{self.stat.key} was replaced or deleted") from error
        raise error
