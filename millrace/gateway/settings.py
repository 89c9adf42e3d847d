"""What the gateway is told when it is built: limits, keys and times; nothing is read from outside.

Values come from deploy/. No default may be a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

MIB = 1 << 20
# S3 refuses parts under 5 MiB that are not the last (ING-1).
PART_SIZE_BYTES_MIN = 5 * MIB
# ING-11.
PARTS_MAX = 1000

Lane = Literal["playback", "events", "read", "write", "expensive", "free"]


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: refills at `per_s`, holds `burst`."""

    per_s: float
    burst: int


def default_rates() -> Mapping[Lane, Rate]:
    """Per user or address. Playback and its events first; what costs most is let in least."""
    return MappingProxyType(
        {
            "playback": Rate(50, 500),
            "events": Rate(50, 500),
            "read": Rate(50, 500),
            "write": Rate(20, 200),
            "expensive": Rate(5, 100),
        }
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits, keys and times of a gateway.

    token_keys: HS256 keys of 32 bytes or more; the first signs, all are accepted, so that keys can
    rotate. pseudonym_key never changes: user ids on the log follow from it. partitions is the
    engine's count for every topic.
    """

    token_keys: tuple[bytes, ...]
    pseudonym_key: bytes
    partitions: int
    # Scheme, host and port of where pages PUT parts to and GET media from, for their
    # Content-Security-Policy: the object store's door, or a bucket and its edge.
    media_origins: tuple[str, ...]
    part_size_bytes: int = 8 * MIB
    upload_size_bytes_max: int = 256 << 30
    upload_expires_ms: int = 24 * 3_600_000
    body_bytes_max: int = MIB
    part_urls_page: int = 100
    # Signed playback addresses last between one and two of these; rounding lets caches share them.
    playback_url_ms: int = 6 * 3_600_000
    viewer_token_s: int = 30 * 86_400
    # How long a command's answer, and a projection, are waited for (API-6).
    answer_wait_s: float = 5.0
    projection_wait_s: float = 1.0
    # Requests in flight over which expensive ones are refused (OPS-8).
    in_flight_max: int = 500
    streams_max: int = 200
    # Of one user, and how long a stream lasts before the client has to come again with a token
    # that is still good, and how long a client that does not read is written to.
    streams_per_user_max: int = 20
    stream_s_max: float = 3600.0
    stream_write_s: float = 10.0
    stream_heartbeat_s: float = 15.0
    # Client events older than this are dated to it; the future is dated to the receipt.
    client_clock_lag_ms_max: int = 7 * 86_400_000
    batch_linger_s: float = 0.005
    # Proxies in front that append to X-Forwarded-For; 0: the header is anybody's word.
    trusted_proxies: int = 0
    rates: Mapping[Lane, Rate] = field(default_factory=default_rates)

    def __post_init__(self) -> None:
        assert self.token_keys, "a gateway needs a key"
        assert all(len(key) >= 32 for key in (*self.token_keys, self.pseudonym_key))
        assert self.part_size_bytes >= PART_SIZE_BYTES_MIN
        assert self.partitions > 0
