"""The rules by which parts become an object: S3's, the same for every store.

Nothing here knows where parts are kept. It must never let through a list of parts that S3 would
refuse, so that no client works with one store and fails with the other.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

from millrace.sinks.ports import InvalidPart, Part

# S3's rule: docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
PART_BYTES_MIN = 5 << 20
_MD5 = re.compile(r"[0-9a-f]{32}")


def joined_etag(part_etags: Sequence[str]) -> str:
    """S3's ETag of an object of parts: the MD5 of their MD5s, and how many."""
    digests = b"".join(bytes.fromhex(etag) for etag in part_etags)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(part_etags)}"


def etag_of(parts: Mapping[int, str]) -> str | None:
    """The ETag of the object that these parts make; None where they make none."""
    etags = [bare(etag) for _, etag in sorted(parts.items())]
    return joined_etag(etags) if etags and all(map(_MD5.fullmatch, etags)) else None


def bare(etag: str) -> str:
    """An ETag as the stores write it, however the client spelt it."""
    return etag.strip('"').lower()


def choose(there: Mapping[int, Part], parts: Mapping[int, str]) -> list[Part]:
    """The stored parts that were asked for, by number. Raises InvalidPart."""
    if not parts:
        raise InvalidPart([], "an upload is completed of one part at least")
    wrong = [
        number
        for number, etag in sorted(parts.items())
        if number not in there or there[number].etag != bare(etag)
    ]
    if wrong:
        raise InvalidPart(wrong, "missing, or stored with another ETag")
    chosen = [there[number] for number in sorted(parts)]
    small = [part.number for part in chosen[:-1] if part.size_bytes < PART_BYTES_MIN]
    if small:
        raise InvalidPart(small, f"under {PART_BYTES_MIN} bytes and not the last")
    return chosen
