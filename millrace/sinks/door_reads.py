"""GET and HEAD of objects under a reader's token (PLY-3): ranges, conditions and cache headers.

It must never serve a key that the token does not open, nor let a cache keep for a year what
changes, or what only one token may see.
"""

import asyncio
import random
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import BinaryIO

from aiohttp import web

from millrace.sinks.busy import busy_errors
from millrace.sinks.directory_objects import DirectoryObjects
from millrace.sinks.door_errors import error_response
from millrace.sinks.object_keys import check_key
from millrace.sinks.ports import ObjectStat, PreconditionFailed
from millrace.sinks.signing import Signer

PIECE_BYTES = 1 << 20
# Playlists grow by a segment every few seconds; the spread keeps caches from asking in step.
MUTABLE_CACHE_MIN_S = 1
MUTABLE_CACHE_MAX_S = 3
IMMUTABLE_CACHE = "public, max-age=31536000, immutable"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Reads:
    """The handler of reads over one store."""

    def __init__(self, store: DirectoryObjects, signer: Signer) -> None:
        self._store = store
        self._signer = signer

    async def get(self, request: web.Request) -> web.StreamResponse:
        key = check_key(request.match_info["key"])
        self._signer.check_reader(request.match_info["token"], key)
        stat, file = await asyncio.to_thread(self._store.open, key)
        try:
            return await _answer(request, stat, file)
        finally:
            await asyncio.to_thread(file.close)


async def _answer(request: web.Request, stat: ObjectStat, file: BinaryIO) -> web.StreamResponse:
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
    response_headers = {**headers, "Content-Type": stat.content_type}
    if request.method == "HEAD":
        response_headers["Content-Length"] = str(length)
        return web.Response(status=status, headers=response_headers)
    if length <= PIECE_BYTES:
        body = await asyncio.to_thread(_piece, file, start, length)
        return web.Response(status=status, headers=response_headers, body=body)
    return await _stream(
        request, web.StreamResponse(status=status, headers=response_headers), file, start, length
    )


async def _stream(
    request: web.Request, response: web.StreamResponse, file: BinaryIO, start: int, length: int
) -> web.StreamResponse:
    response.content_length = length
    await response.prepare(request)
    for offset in range(start, start + length, PIECE_BYTES):
        size = min(PIECE_BYTES, start + length - offset)
        await response.write(await asyncio.to_thread(_piece, file, offset, size))
    await response.write_eof()
    return response


def _piece(file: BinaryIO, start: int, length: int) -> bytes:
    with busy_errors():
        file.seek(start)
        return file.read(length)


def _headers(stat: ObjectStat) -> dict[str, str]:
    seconds = random.randint(MUTABLE_CACHE_MIN_S, MUTABLE_CACHE_MAX_S)
    return {
        "ETag": f'"{stat.etag}"',
        "Last-Modified": _last_modified(stat),
        "Accept-Ranges": "bytes",
        "Cache-Control": f"public, max-age={seconds}" if stat.mutable else IMMUTABLE_CACHE,
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
