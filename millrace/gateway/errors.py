"""Every error that the gateway answers, once (API-1): RFC 9457 problem details.

A code is permanent: clients act on it. No text may show a trace, a path of the machine or another
user's data; `retry` is `no`, `changed` (a different request may succeed) or `later` (the same one).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

Retry = Literal["no", "changed", "later"]
CONTENT_TYPE = "application/problem+json"
BUSY_RETRY_S = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """An entry of the catalogue; text is a template of what a Problem brings."""

    code: str
    status: int
    title: str
    retry: Retry
    text: str


# fmt: off
MALFORMED          = Kind("malformed",          400, "Malformed request",         "changed",
    "The request can't be read: {why}.")
BAD_PARAMETER      = Kind("bad_parameter",      400, "Bad parameter",             "changed",
    "The parameter {name} is wrong: {why}.")
NO_TOKEN           = Kind("no_token",           401, "Token needed",              "changed",
    "Send a bearer token in the Authorization header.")
BAD_TOKEN          = Kind("bad_token",          401, "Token refused",             "changed",
    "The token is not valid: {why}. Get a new one.")
FORBIDDEN          = Kind("forbidden",          403, "Not allowed",               "no",
    "Your token does not allow this: {why}.")
BLOCKED            = Kind("blocked",            403, "Video blocked",             "no",
    "A moderator has blocked this video.")
NOT_FOUND          = Kind("not_found",          404, "Not found",                 "no",
    "There is no {what} here. Check the address.")
METHOD_NOT_ALLOWED = Kind("method_not_allowed", 405, "Method not allowed",        "no",
    "This address does not take {method}; it takes {allowed}.")
NOT_READY          = Kind("not_ready",          409, "Not ready",                 "later",
    "The video can't be played now: {why}")
REFUSED            = Kind("refused",            409, "Refused",                   "changed",
    "{why}")
UPLOAD_CLOSED      = Kind("upload_closed",      409, "Upload closed",             "no",
    "The upload was refused: {why}")
GONE               = Kind("gone",               410, "Gone",                      "no",
    "The video is {why}.")
UPLOAD_EXPIRED     = Kind("upload_expired",     410, "Upload ended",              "no",
    "The session ended before it was completed. Start a new upload.")
BODY_TOO_LARGE     = Kind("body_too_large",     413, "Body too large",            "changed",
    "The body is over the limit of {limit} bytes.")
FILE_TOO_LARGE     = Kind("file_too_large",     413, "File too large",            "no",
    "The file is over the limit of {limit} bytes.")
UNSUPPORTED_TYPE   = Kind("unsupported_type",   415, "Unsupported media type",    "changed",
    "Send the body as application/json.")
SENSELESS          = Kind("senseless",          422, "The body makes no sense",   "changed",
    "The body is JSON, but not what this address takes: {why}.")
PARTS_WRONG        = Kind("parts_wrong",        422, "Parts missing or wrong",    "changed",
    "{why} Send those parts, then complete again.")
KEY_REUSED         = Kind("key_reused",         422, "Idempotency-Key used",      "changed",
    "This Idempotency-Key came before with another body. Use a new key.")
TOO_MANY           = Kind("too_many",           429, "Too many requests",         "later",
    "You send more than is allowed. Wait as Retry-After says.")
BUG                = Kind("bug",                500, "Something broke",           "later",
    "This is our fault and was recorded under the request id.")
BUSY               = Kind("busy",               503, "Busy",                      "later",
    "Something that this request needs is busy. Nothing is lost: try again.")
OVERLOADED         = Kind("overloaded",         503, "Overloaded",                "later",
    "The server sheds expensive requests so that playback goes on. Try again.")
# fmt: on

KINDS: tuple[Kind, ...] = (
    MALFORMED,
    BAD_PARAMETER,
    NO_TOKEN,
    BAD_TOKEN,
    FORBIDDEN,
    BLOCKED,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    NOT_READY,
    REFUSED,
    UPLOAD_CLOSED,
    GONE,
    UPLOAD_EXPIRED,
    BODY_TOO_LARGE,
    FILE_TOO_LARGE,
    UNSUPPORTED_TYPE,
    SENSELESS,
    PARTS_WRONG,
    KEY_REUSED,
    TOO_MANY,
    BUG,
    BUSY,
    OVERLOADED,
)


class Problem(Exception):
    """A failure that the caller is told about; `extra` becomes members of the answer."""

    def __init__(
        self,
        kind: Kind,
        *,
        extra: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
        **words: object,
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.detail = kind.text.format(**words)
        self.extra = dict(extra or {})
        self.retry_after_s = retry_after_s
        self.headers: dict[str, str] = {}
        if kind.status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"
        if kind.status in {429, 503}:
            self.headers["Retry-After"] = str(max(1, round(retry_after_s or BUSY_RETRY_S)))


def not_found(what: str) -> Problem:
    return Problem(NOT_FOUND, what=what)


def respond(problem: Problem, request_id: str) -> web.Response:
    """The problem as application/problem+json, with the request's id."""
    kind = problem.kind
    body = {
        "type": f"urn:millrace:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "code": kind.code,
        "retry": kind.retry,
        "requestId": request_id,
        **problem.extra,
    }
    return web.Response(
        status=kind.status,
        body=json.dumps(body, ensure_ascii=False).encode(),
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )
