"""Addresses that readers get their bytes from: signed at the object store's door (PLY-3).

No byte of media passes the gateway. Times are rounded, so that many viewers share an address and
with it the edge's cache.
"""

from millrace.gateway.context import Gateway
from millrace.schemas import prefixes


def expires_at_ms(gateway: Gateway) -> int:
    """Between one and two times `playback_url_ms` from now."""
    step_ms = gateway.settings.playback_url_ms
    return (gateway.ports.now_ms() // step_ms + 2) * step_ms


def image_url(gateway: Gateway, key: str) -> str | None:
    """None where there is no image yet."""
    if not key:
        return None
    return gateway.ports.objects.presign_get(key, expires_at_ms(gateway)) + key


def media_base(gateway: Gateway, video_id: str) -> str:
    """Base under which every public object of the video is read: base + key."""
    return gateway.ports.objects.presign_get(prefixes.of_video(video_id), expires_at_ms(gateway))
