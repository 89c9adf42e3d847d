"""GET and HEAD of objects under a reader's token (PLY-3): ranges, conditions and cache headers.

It must never serve a key that the token does not open, nor let a cache keep for a year what
changes, or what only one token may see.
"""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from millrace.sinks.caching import cache_control
from millrace.sinks.door_errors import error_response
from millrace.sinks.object_keys import check_key
from millrace.sinks.ports import (
    NotFound,
    Objects,
    ObjectStat,
    OpenObject,
    PreconditionFailed,
    StoreBusy,
)
from millrace.sinks.signing import Signer

# Looks at an object that is replaced each time before its bytes were read: playlists change every
# few seconds, and a look takes milliseconds.
LOOKS_MAX = 4
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Reads:
    """The handler of reads over one store."""

    def __init__(self, store: Objects, signer: Signer) -> None:
        self._store = store
        self._signer = signer

    async def get(self, request: web.Request) -> web.StreamResponse:
        key = check_key(request.match_info["key"])
        self._signer.check_reader(request.match_info["token"], key)
        for _ in range(LOOKS_MAX):
            response = await self._look(request, key)
            if response is not None:
                return response
        raise StoreBusy(f"{key} is being replaced all the time")

    async def _look(self, request: web.Request, key: str) -> web.StreamResponse | None:
        """The answer; None where the object was replaced before its first byte came."""
        opened = await asyncio.to_thread(self._store.open, key)
        try:
            return await _answer(request, opened)
        finally:
            await asyncio.to_thread(opened.close)


async def _answer(request: web.Request, opened: OpenObject) -> web.StreamResponse | None:
    stat = opened.stat
    headers = _headers(stat)
    if not _matches(request.headers.get("If-Match"), stat, absent=True):
        raise PreconditionFailed(stat.key)
    if _is_known(request, stat):
        return web.Response(status=304, headers=headers)
    chosen = _range(request, stat)
    if chosen is None:
        start, length, status = 0, stat.size_bytes, 200
    else:
        start, length, status = *chosen, 206
        if length == 0:
            response = error_response(request, 416, "InvalidRange", "There are no such bytes.")
            response.headers["Content-Range"] = f"bytes */{stat.size_bytes}"
            return response
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{stat.size_bytes}"
    headers |= {"Content-Type": stat.content_type, "Content-Length": str(length)}
    if request.method == "HEAD" or length == 0:
        return web.Response(status=status, headers=headers)
    pieces = opened.pieces(start, length)
    try:
        first = await asyncio.to_thread(next, pieces)
    except PreconditionFailed:
        return None
    if len(first) == length:
        return web.Response(status=status, headers=headers, body=first)
    return await _stream(request, web.StreamResponse(status=status, headers=headers), first, pieces)


async def _stream(
    request: web.Request, response: web.StreamResponse, first: bytes, pieces: Iterator[bytes]
) -> web.StreamResponse:
    """Sends as the pieces come. Where they end early the connection does, which says so."""
    await response.prepare(request)
    await response.write(first)
    try:
        while piece := await asyncio.to_thread(next, pieces, b""):
            await response.write(piece)
    except (StoreBusy, PreconditionFailed, NotFound):
        # The status is sent: nothing but a body that is too short can still be said.
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def _headers(stat: ObjectStat) -> dict[str, str]:
    return {
        "ETag": f'"{stat.etag}"',
        "Last-Modified": _last_modified(stat),
        "Accept-Ranges": "bytes",
        "Cache-Control": cache_control(stat.mutable),
    }


def _last_modified(stat: ObjectStat) -> str:
    return format_datetime(datetime.fromtimestamp(stat.modified_ms // 1000, UTC), usegmt=True)


def _matches(condition: str | None, stat: ObjectStat, absent: bool) -> bool:
    """Whether a list of ETags has this one (RFC 9110, 13.1); `absent` where there is no list."""
    if condition is None:
        return absent
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in condition.split(",")]
    return "*" in tags or stat.etag in tags


def _is_known(request: web.Request, stat: ObjectStat) -> bool:
    """Whether the client has these bytes: If-None-Match, else If-Modified-Since."""
    if "If-None-Match" in request.headers:
        return _matches(request.headers["If-None-Match"], stat, absent=False)
    since = request.if_modified_since
    return since is not None and stat.modified_ms // 1000 <= since.timestamp()


def _range(request: web.Request, stat: ObjectStat) -> tuple[int, int] | None:
    """First byte and length, 0 where there are no such bytes; None for the whole object.

    What is no single byte range is ignored, as RFC 9110, 14.2 allows, and so is a range whose
    If-Range is of other bytes.
    """
    found = _RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    if found is None or found[0] == "bytes=-":
        return None
    if request.headers.get("If-Range", f'"{stat.etag}"') not in (
        f'"{stat.etag}"',
        _last_modified(stat),
    ):
        return None
    if not found[1]:
        length = min(int(found[2]), stat.size_bytes)
        return stat.size_bytes - length, length
    start = int(found[1])
    if found[2] and int(found[2]) < start:
        return None
    end = min(int(found[2] or stat.size_bytes), stat.size_bytes - 1)
    return start, max(0, end - start + 1)
