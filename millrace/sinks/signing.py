"""Signed addresses: a PUT of one part, and a reader's path prefix (PLY-3).

Both are checked with nothing but a key and a clock. A signature must never be made over text that
could be read in two ways, and never be compared in a time that depends on it.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from millrace.sinks.object_keys import check_key, check_path
from millrace.sinks.ports import InvalidKey

# The bucket of path-style S3 addresses; the store has one.
BUCKET = "millrace"
PART_NUMBER_MAX = 10_000
# The shortest HMAC key that RFC 2104 section 3 doesn't discourage for SHA-256.
SECRET_BYTES_MIN = 32
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_TIME_MS = re.compile(r"[0-9]{1,15}")
# What a part's signature covers besides method and key, in this order.
_SIGNED = ("uploadId", "partNumber", "size", "expires", "keyId")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Refused(Exception):
    """The address is altered, expired, or for something else; `expired` says which."""

    def __init__(self, reason: str, expired: bool = False) -> None:
        super().__init__(reason)
        self.expired = expired


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Secrets by id: `current` signs, all are believed. Rotate by adding one, later dropping one.

    ValueError: a secret under 32 bytes, an id that is not `[A-Za-z0-9_-]{1,32}`, no current one.
    """

    current: str
    secrets: Mapping[str, bytes]

    def __post_init__(self) -> None:
        if self.current not in self.secrets:
            raise ValueError("the current signing key is not among the secrets")
        if not all(_KEY_ID.fullmatch(key_id) for key_id in self.secrets):
            raise ValueError("a signing key id that is not [A-Za-z0-9_-]{1,32}")
        if any(len(secret) < SECRET_BYTES_MIN for secret in self.secrets.values()):
            raise ValueError(f"a signing key under {SECRET_BYTES_MIN} bytes")


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes and checks addresses below `public_url` (scheme and host, no path); does no I/O."""

    keys: SigningKeys
    public_url: str
    now_ms: Callable[[], int]

    def part_url(
        self,
        key: str,
        multipart_id: str,
        number: int,
        size_bytes: int,
        expires_at_ms: int,
        sha256: str | None = None,
    ) -> str:
        """As `Objects.presign_part`. Raises InvalidKey, ValueError."""
        check_part(number, size_bytes, sha256)
        fields = {
            "uploadId": multipart_id,
            "partNumber": str(number),
            "size": str(size_bytes),
            "expires": str(expires_at_ms),
            "keyId": self.keys.current,
        }
        if sha256 is not None:
            fields["sha256"] = sha256
        fields["signature"] = self._sign(self.keys.current, _part_text(check_key(key), fields))
        return f"{self.public_url}/{BUCKET}/{key}?{urlencode(fields)}"

    def check_part(self, method: str, key: str, fields: Mapping[str, str]) -> None:
        """Whether part_url made this PUT's query for this key. Raises Refused."""
        names = (*_SIGNED, "signature")
        if method != "PUT" or any(name not in fields for name in names):
            raise Refused("not a signed PUT of a part")
        self._check(fields["keyId"], _part_text(key, fields), fields["signature"])
        self._check_time(fields["expires"])

    def reader_base(self, path: str, expires_at_ms: int) -> str:
        """Base address that opens `path`, a key or a prefix ending in `/`. Raises InvalidKey."""
        named = base64.urlsafe_b64encode(check_path(path).encode()).decode().rstrip("=")
        text = f"{self.keys.current}.{expires_at_ms}.{named}"
        return f"{self.public_url}/s/{text}.{self._sign(self.keys.current, 'GET ' + text)}/"

    def check_reader(self, token: str, key: str) -> None:
        """Whether the token opens this key now. Raises Refused."""
        pieces = token.split(".")
        if len(pieces) != 4:
            raise Refused("not a reader's token")
        key_id, expires, named, signature = pieces
        self._check(key_id, f"GET {key_id}.{expires}.{named}", signature)
        self._check_time(expires)
        path = base64.urlsafe_b64decode(named + "=" * (-len(named) % 4)).decode()
        if key != path and not (path.endswith("/") and key.startswith(path)):
            raise Refused("the token is for another path")

    def _sign(self, key_id: str, text: str) -> str:
        mac = hmac.new(self.keys.secrets[key_id], _bytes(text), hashlib.sha256)
        return base64.urlsafe_b64encode(mac.digest()).decode().rstrip("=")

    def _check(self, key_id: str, text: str, signature: str) -> None:
        # The texts are compared, not their bytes: base64 has several spellings of one value.
        expected = self._sign(key_id, text) if key_id in self.keys.secrets else ""
        if not hmac.compare_digest(_bytes(expected), _bytes(signature)):
            raise Refused("the signature does not fit")

    def _check_time(self, expires: str) -> None:
        if not _TIME_MS.fullmatch(expires) or int(expires) <= self.now_ms():
            raise Refused("the address has expired", expired=True)


def check_part(number: int, size_bytes: int, sha256: str | None) -> None:
    """Raises ValueError where no part can be of this number, size and digest."""
    if not 1 <= number <= PART_NUMBER_MAX:
        raise ValueError(f"part numbers are 1 to {PART_NUMBER_MAX}, not {number}")
    if size_bytes < 0:
        raise ValueError(f"no part has {size_bytes} bytes")
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a SHA-256 in hex: {sha256!r:.100}")


def _bytes(text: str) -> bytes:
    """UTF-8, and what a request brought that is none: refused like any other wrong signature."""
    return text.encode("utf-8", "surrogatepass")


def _part_text(key: str, fields: Mapping[str, str]) -> str:
    """What a part's signature covers. Newlines part the fields: no key has one, and the rest comes
    after it by position, so that no two requests have one text."""
    rest = [*(fields[name] for name in _SIGNED), fields.get("sha256", "")]
    if any("\n" in value for value in rest):
        raise Refused("a line break in a signed field")
    try:
        return "\n".join(["PUT", check_key(key), *rest])
    except InvalidKey as error:
        raise Refused("not an object key") from error
