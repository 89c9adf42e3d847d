"""What clients send, as msgspec structs: unknown fields refused, every length and number bounded.

No body names a user (API-2). Sense that needs more than the body itself is the handler's.
"""

from typing import Annotated, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from millrace.gateway.context import Outcome
from millrace.gateway.errors import (
    BODY_TOO_LARGE,
    MALFORMED,
    SENSELESS,
    UNSUPPORTED_TYPE,
    Problem,
)

# Text that is shown: no control characters, which logs, terminals and headers would act on.
PLAIN = r"^[^\x00-\x08\x0b-\x1f\x7f]*\Z"
Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Description = Annotated[str, Meta(max_length=5000, pattern=PLAIN)]
Tag = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Tags = Annotated[list[Tag], Meta(max_length=30)]
# RFC 9110 type/subtype with parameters, or empty: a browser that does not know says nothing.
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]{1,60}"
MEDIA_TYPE = rf'^({_TOKEN}/{_TOKEN}(; ?[A-Za-z0-9=".+_-]{{1,60}}){{0,3}})?\Z'
MediaType = Annotated[str, Meta(pattern=MEDIA_TYPE)]
Visibility = Literal["public", "unlisted", "private"]
Priority = Literal["urgent", "normal", "backfill"]
Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
ClientId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}\Z")]
Reason = Annotated[str, Meta(min_length=1, max_length=1000, pattern=PLAIN)]
Milliseconds = Annotated[int, Meta(ge=0, le=1 << 48)]


class Body(msgspec.Struct, forbid_unknown_fields=True, rename="camel", frozen=True):
    """A body; fields are camelCase on the wire."""


class UploadBody(Body, frozen=True):
    title: Title
    size_bytes: Annotated[int, Meta(ge=0, le=1 << 50)]
    description: Description = ""
    visibility: Visibility = "private"
    content_type: MediaType = "application/octet-stream"
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None = None
    tags: Tags = []
    priority: Priority = "normal"
    passthrough: Annotated[str, Meta(max_length=1000, pattern=PLAIN)] = ""
    file_name: Annotated[str, Meta(max_length=255, pattern=PLAIN)] = ""


class PartBody(Body, frozen=True):
    number: Annotated[int, Meta(ge=1, le=10_000)]
    etag: Annotated[str, Meta(pattern=r'^"?[0-9A-Za-z-]{1,80}"?\Z')]


class CompleteBody(Body, frozen=True):
    parts: Annotated[list[PartBody], Meta(min_length=1, max_length=1000)]


class EditBody(Body, frozen=True):
    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    visibility: Visibility | UnsetType = UNSET


class ReasonBody(Body, frozen=True):
    reason: Reason


class EventBody(Body, frozen=True):
    event_id: ClientId
    video_id: Id
    session_id: ClientId
    kind: Literal["play", "progress", "pause", "ended", "stall", "error"]
    position_ms: Milliseconds
    watched_ms: Milliseconds
    client_at_ms: Annotated[int, Meta(ge=0, le=1 << 52)] | UnsetType = UNSET


class EventsBody(Body, frozen=True):
    events: Annotated[list[EventBody], Meta(min_length=1, max_length=500)]


class ProfileBody(Body, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
    avatar_url: Annotated[str, Meta(max_length=2000, pattern=r"^(https?://[^\s\x00-\x1f]+)?\Z")] = (
        ""
    )


class RebuildBody(Body, frozen=True):
    projection: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}\Z")]
    then: Outcome = "verify"


class NoBody(Body, frozen=True):
    """An address that takes an empty object, or nothing."""


B = TypeVar("B", bound=Body)


async def read_body(request: web.Request, type_: type[B]) -> B:
    """The body. Raises Problem: 400 no JSON, 413, 415, 422 JSON that makes no sense."""
    data = await read_bytes(request)
    if not data and type_ is NoBody:
        return type_()
    check_type(request)
    return decode(data, type_)


def check_type(request: web.Request) -> None:
    """Raises Problem 415."""
    if request.content_type != "application/json":
        raise Problem(UNSUPPORTED_TYPE)


async def read_bytes(request: web.Request) -> bytes:
    """The body as it came. Raises Problem 400, 413."""
    limit = request.client_max_size
    if request.content_length is not None and request.content_length > limit:
        raise Problem(BODY_TOO_LARGE, limit=limit)
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as problem:
        raise Problem(BODY_TOO_LARGE, limit=limit) from problem
    except web.RequestPayloadError as problem:
        raise Problem(MALFORMED, why="its encoding is broken") from problem


def decode(data: bytes, type_: type[B]) -> B:
    """JSON to a body. Raises Problem 400 or 422."""
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.ValidationError as problem:
        raise Problem(SENSELESS, why=str(problem)) from problem
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Problem(MALFORMED, why="it is not JSON in UTF-8") from problem
