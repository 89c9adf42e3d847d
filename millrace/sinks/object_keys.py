"""What a key may look like, and what its suffix says about the bytes under it.

It must never let a key through that could name a file outside, or mean two things to two stores.
"""

import re

from millrace.sinks.ports import InvalidKey

KEY_LENGTH_MAX = 512
# A server over a file system makes a file name of it, of 255 characters with what it adds itself.
SEGMENT_LENGTH_MAX = 200
_SEGMENT = rf"(?!\.{{1,2}}(?:/|\Z))[A-Za-z0-9._~=@+!*'(),:-]{{1,{SEGMENT_LENGTH_MAX}}}"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_CONTENT_TYPES = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
    "m4s": "video/iso.segment",
    "mp4": "video/mp4",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
    "vtt": "text/vtt",
    "json": "application/json",
}
# RFC 9110 token "/" token, with parameters: nothing that could end a header early.
_CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:; ?[\w=\".+-]+)*", re.ASCII)


def check_key(key: str) -> str:
    """The key itself. Raises InvalidKey."""
    if len(key) > KEY_LENGTH_MAX or not _KEY.fullmatch(key):
        raise InvalidKey(f"not an object key: {key!r:.100}")
    return key


def check_path(path: str) -> str:
    """A key, or a prefix ending in `/`. Raises InvalidKey."""
    check_key(path.removesuffix("/"))
    return path


def content_type_of(key: str, given: str | None) -> str:
    """The type given, else what the suffix says. Raises ValueError where it is no media type."""
    if given is None:
        return _CONTENT_TYPES.get(key.rpartition(".")[2].lower(), "application/octet-stream")
    if not _CONTENT_TYPE.fullmatch(given):
        raise ValueError(f"not a media type: {given!r:.100}")
    return given


def is_mutable(key: str, given: bool | None) -> bool:
    """What was said, else whether it is a playlist: caching one for ever would stop its video."""
    return key.endswith((".m3u8", ".mpd")) if given is None else given
