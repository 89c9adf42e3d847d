"""Videos as clients read and edit them (API-7), and lists of them (DIS-4).

Owner and staff see all of a document; everybody else what a page needs.
"""

from typing import Any

from aiohttp import web
from msgspec import UNSET

from millrace.gateway.answers import answer, or_none
from millrace.gateway.auth import require
from millrace.gateway.bodies import EditBody, read_body
from millrace.gateway.commands import ask, pending, target
from millrace.gateway.context import Gateway, gateway_of, user_of
from millrace.gateway.errors import BLOCKED, GONE, NO_TOKEN, SENSELESS, Problem
from millrace.gateway.paging import as_cursor, cursor, limit, path_id
from millrace.gateway.positions import honour, honour_in_list
from millrace.gateway.reading import check_visible, known_video, sees_all
from millrace.gateway.signing import image_url
from millrace.schemas.events import EditRequested, VideoDocument
from millrace.sinks.ports import Page, Table
from millrace.sinks.tables import CREATOR_VIDEOS, PUBLIC_VIDEOS

# The one partition of PUBLIC_VIDEOS.
PUBLIC_BUCKET = "public"


def shown(gateway: Gateway, document: VideoDocument, *, whole: bool) -> dict[str, Any]:
    """The document as JSON; whole for the owner and staff."""
    body: dict[str, Any] = {
        "videoId": document.video_id,
        "creatorId": document.creator_id,
        "title": document.title,
        "description": document.description,
        "tags": list(document.tags),
        "visibility": document.visibility,
        "state": document.state,
        "complete": document.complete,
        "durationMs": document.duration_ms,
        "width": document.width,
        "height": document.height,
        "posterUrl": image_url(gateway, document.poster_key),
        "createdAtMs": document.created_at_ms,
        "playableAtMs": or_none(document.playable_at_ms),
        "publishedAtMs": or_none(document.published_at_ms),
        "renditions": [
            {
                "rung": r.rung,
                "width": r.width,
                "height": r.height,
                "codec": r.codec,
                "segments": r.segments,
                "frames": r.frames,
                "durationMs": r.duration_ms,
                "sizeBytes": r.size_bytes,
                "bandwidthBps": r.bandwidth_bps,
            }
            for r in document.renditions
        ],
        "audio": [
            {
                "rendition": a.rendition,
                "codec": a.codec,
                "language": a.language,
                "channels": a.channels,
                "segments": a.segments,
                "durationMs": a.duration_ms,
                "sizeBytes": a.size_bytes,
                "bandwidthBps": a.bandwidth_bps,
            }
            for a in document.audio
        ],
    }
    return body | inner(document) if whole else body


def inner(document: VideoDocument) -> dict[str, Any]:
    """What only owner and staff see."""
    return {
        "uploadSessionId": document.upload_id,
        "passthrough": document.passthrough,
        "epoch": document.epoch,
        "error": failure(document),
        "blockReason": document.block_reason,
        "sizeBytes": document.size_bytes,
        "sha256": document.sha256,
        "frames": document.frames,
        "dropped": list(document.dropped),
        "storedAtMs": or_none(document.stored_at_ms),
        "hlsKey": document.hls_key,
        "dashKey": document.dash_key,
        "positions": [
            {"topic": p.topic, "partition": p.partition, "offset": p.offset}
            for p in document.positions
        ],
    }


def failure(document: VideoDocument) -> dict[str, str] | None:
    if not document.error_code:
        return None
    return {"code": document.error_code, "text": document.error_text}


async def read(request: web.Request) -> web.Response:
    """GET /v1/videos/{video_id}."""
    gateway, user = gateway_of(request), user_of(request)
    video_id = path_id(request, "video_id", "video")
    await honour(request, video_id)
    document = await known_video(gateway, video_id)
    check_visible(user, document)
    whole = sees_all(user, document)
    if document.state == "DELETED" and not whole:
        raise Problem(GONE, why="deleted")
    if document.state == "BLOCKED" and not whole:
        raise Problem(BLOCKED)
    return answer(shown(gateway, document, whole=whole))


async def edit(request: web.Request) -> web.Response:
    """PATCH /v1/videos/{video_id}."""
    gateway = gateway_of(request)
    user = require(user_of(request), "creator", "operator", "service")
    body = await read_body(request, EditBody)
    fields = (body.title, body.description, body.tags, body.visibility)
    if all(field is UNSET for field in fields):
        raise Problem(SENSELESS, why="it changes nothing")
    document = await target(request, user)
    command = EditRequested(
        video_id=document.video_id,
        user_id=user.user_id,
        title=None if body.title is UNSET else body.title,
        description=None if body.description is UNSET else body.description,
        tags=None if body.tags is UNSET else tuple(body.tags),
        visibility=None if body.visibility is UNSET else body.visibility,
    )
    asked, fact = await ask(gateway, command)
    if fact is None:
        return pending(asked, document.video_id)
    edited = await known_video(gateway, document.video_id)
    return answer(shown(gateway, edited, whole=True), position=fact)


async def list_public(request: web.Request) -> web.Response:
    """GET /v1/videos: public and READY, newest first."""
    gateway = gateway_of(request)
    page = await newest(request, PUBLIC_VIDEOS, PUBLIC_BUCKET)
    return listing(gateway, documents(page), page)


async def list_of_creator(request: web.Request) -> web.Response:
    """GET /v1/creators/{creator_id}/videos: the owner sees all, others what is public and READY.

    A page may hold fewer videos than the limit, and still not be the last: nextCursor says.
    """
    gateway, user = gateway_of(request), user_of(request)
    page = await newest(request, CREATOR_VIDEOS, creator_in_path(request))
    seen = [d for d in documents(page) if d.listed or sees_all(user, d)]
    return listing(gateway, seen, page)


async def newest(request: web.Request, table: Table, partition: str) -> Page:
    """A page of a table that is clustered by creation. Raises Problem 400."""
    gateway = gateway_of(request)
    size, after = limit(request), cursor(request, (int, str))
    await honour_in_list(request, table, partition)
    return await gateway.read(
        gateway.ports.tables.page, table, (partition,), after=after, limit=size, descending=True
    )


def documents(page: Page) -> list[VideoDocument]:
    return [VideoDocument.from_record(row.values["document"]) for row in page.rows]


def listing(gateway: Gateway, videos: list[VideoDocument], page: Page) -> web.Response:
    body = {
        "items": [listed(gateway, document) for document in videos],
        "nextCursor": as_cursor(page.after),
    }
    return answer(body)


def creator_in_path(request: web.Request) -> str:
    """The creator's pseudonym; `me` is the user. Raises Problem 401, 404."""
    if request.match_info["creator_id"] != "me":
        return path_id(request, "creator_id", "creator")
    user = user_of(request)
    if user is None:
        raise Problem(NO_TOKEN)
    return user.user_id


def listed(gateway: Gateway, document: VideoDocument) -> dict[str, Any]:
    """What every list says of a video."""
    return {
        "videoId": document.video_id,
        "creatorId": document.creator_id,
        "title": document.title,
        "state": document.state,
        "complete": document.complete,
        "visibility": document.visibility,
        "durationMs": document.duration_ms,
        "posterUrl": image_url(gateway, document.poster_key),
        "createdAtMs": document.created_at_ms,
    }
