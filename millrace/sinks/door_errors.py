"""What the door answers when it cannot do what it was asked: S3's codes in S3's XML.

One table from errors to answers. It must never say more of the store than the client knows.
"""

import uuid
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web
from aiohttp.typedefs import Handler

from millrace.sinks.ports import (
    BadDigest,
    InvalidKey,
    NoSuchUpload,
    NotFound,
    PreconditionFailed,
    StoreBusy,
    StoreFull,
)
from millrace.sinks.signing import Refused

# Seconds; a disk seldom gets space sooner, a lock is free long before.
RETRY_AFTER_S = 5
NOT_FOUND_CACHE_S = 1


class BadRequest(Exception):
    """The request itself is wrong: S3's code, the status that goes with it, and why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


# The first that fits, so StoreFull stands before StoreBusy.
_ANSWERS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (Refused, 403, "AccessDenied", "The address is altered, has expired, or is for another path."),
    (InvalidKey, 400, "InvalidURI", "The path does not name an object."),
    (NotFound, 404, "NoSuchKey", "There is no such object."),
    (NoSuchUpload, 404, "NoSuchUpload", "The upload is completed, was aborted, or never was."),
    (PreconditionFailed, 412, "PreconditionFailed", "A condition of the request did not hold."),
    (BadDigest, 400, "BadDigest", "The bytes that arrived are not those that were announced."),
    (StoreFull, 507, "InsufficientStorage", "The store is full. Try again later."),
    (StoreBusy, 503, "SlowDown", "The store is busy. Try again."),
)
_CODES = {404: "NoSuchKey", 405: "MethodNotAllowed", 413: "EntityTooLarge"}


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what handlers raise on purpose into answers; a bug stays one and is a bare 500."""
    try:
        return await handler(request)
    except BadRequest as error:
        return error_response(request, error.status, error.code, str(error))
    except web.HTTPException as error:
        code = _CODES.get(error.status, "InvalidRequest")
        response = error_response(request, error.status, code, error.reason)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except tuple(kind for kind, *_ in _ANSWERS) as error:
        answer = next(answer for answer in _ANSWERS if isinstance(error, answer[0]))
        return error_response(request, *answer[1:])


def error_response(request: web.Request, status: int, code: str, message: str) -> web.Response:
    """S3's error document. Only a missing object may be cached: a 403 belongs to one token."""
    request_id = uuid.uuid4().hex
    resource = quote(request.path.encode("utf-8", "replace"), safe="/")
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>"
        f"<Resource>{resource}</Resource><RequestId>{request_id}</RequestId></Error>"
    )
    cache = f"public, max-age={NOT_FOUND_CACHE_S}" if code == "NoSuchKey" else "no-store"
    headers = {"x-amz-request-id": request_id, "Cache-Control": cache}
    if status in (503, 507):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return web.Response(status=status, text=body, content_type="application/xml", headers=headers)
