"""Presigned PUTs of parts: signature version 4 in the query, made without a library's detours.

Boto3 takes 0.4 ms an address and a page of them is made in the gateway's loop; this takes a
twentieth. It must sign what boto3 would sign, byte for byte: a test holds the two together.
The format: docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, urlsplit

from millrace.sinks.object_keys import check_key
from millrace.sinks.s3_client import S3Place
from millrace.sinks.signing import check_part

# The longest that S3 lets such an address live.
VALID_S_MAX = 7 * 86_400


@dataclass(frozen=True, slots=True)
class PartSigner:
    """Makes addresses to PUT parts to. `now_ms` is the clock, milliseconds of the epoch."""

    place: S3Place
    now_ms: Callable[[], int]

    def url(
        self,
        key: str,
        multipart_id: str,
        number: int,
        size_bytes: int,
        expires_at_ms: int,
        sha256: str | None,
    ) -> str:
        """As `Objects.presign_part`; one whose time is over is made too, and refused when used."""
        check_part(number, size_bytes, sha256)
        at_ms = min(self.now_ms(), expires_at_ms - 1_000)
        valid_s = min(VALID_S_MAX, (expires_at_ms - at_ms) // 1_000)
        base = self.place.public_url or self.place.endpoint_url
        headers = {"content-length": str(size_bytes), "host": urlsplit(base).netloc}
        if sha256 is not None:
            headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(sha256)).decode()
        at = datetime.fromtimestamp(at_ms // 1_000, UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{at[:8]}/{self.place.region}/s3/aws4_request"
        fields = {
            "partNumber": str(number),
            "uploadId": multipart_id,
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self.place.access_key_id}/{scope}",
            "X-Amz-Date": at,
            "X-Amz-Expires": str(valid_s),
            "X-Amz-SignedHeaders": ";".join(headers),
        }
        path = quote(f"/{self.place.bucket}/{check_key(key)}", safe="/-_.~")
        signature = self._signature(path, fields, headers, at, scope)
        return f"{base}{path}?{_query(fields)}&X-Amz-Signature={signature}"

    def _signature(
        self, path: str, fields: dict[str, str], headers: dict[str, str], at: str, scope: str
    ) -> str:
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        query = _query(dict(sorted(fields.items())))
        asked = f"PUT\n{path}\n{query}\n{lines}\n{';'.join(headers)}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(asked.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{digest}"
        key = _signing_key(self.place.secret_access_key, at[:8], self.place.region)
        return hmac.digest(key, text.encode(), "sha256").hex()


def _query(fields: dict[str, str]) -> str:
    return "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in fields.items())


@lru_cache(maxsize=16)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for text in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, text.encode(), "sha256")
    return key
