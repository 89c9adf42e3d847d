"""What a player needs to begin (PLY-1, PLY-2): state, signed addresses, a token to report with.

Takedown takes effect here at once (PLY-4): while the tables are up nothing is served from a cache.
"""

from typing import Any

from aiohttp import web

from millrace.gateway.answers import answer
from millrace.gateway.boundary import VIEWER_COOKIE
from millrace.gateway.context import Gateway, gateway_of, user_of
from millrace.gateway.errors import BLOCKED, GONE, NOT_READY, Problem
from millrace.gateway.paging import path_id
from millrace.gateway.positions import honour
from millrace.gateway.reading import check_visible, video_even_stale
from millrace.gateway.signing import expires_at_ms, image_url, media_base
from millrace.schemas.events import VideoDocument

WHERE = {
    "UPLOADING": "its file is still being uploaded.",
    "UPLOADED": "its file has arrived and waits to be processed.",
    "PROCESSING": "it is being processed.",
    "FAILED": "processing failed.",
}


async def playable(request: web.Request) -> VideoDocument:
    """The video in the path if it can be watched. Raises Problem 403, 404, 409, 410."""
    gateway = gateway_of(request)
    video_id = path_id(request, "video_id", "video")
    await honour(request, video_id)
    document = await video_even_stale(gateway, video_id)
    check_visible(user_of(request), document)
    match document.state:
        case "READY":
            return document
        case "DELETED":
            raise Problem(GONE, why="deleted")
        case "EXPIRED":
            raise Problem(GONE, why="gone: its upload was never completed")
        case "BLOCKED":
            raise Problem(BLOCKED)
        case state:
            raise Problem(NOT_READY, why=WHERE[state], extra={"state": state})


async def read(request: web.Request) -> web.Response:
    """GET /v1/videos/{video_id}/playback."""
    gateway, user = gateway_of(request), user_of(request)
    document = await playable(request)
    # Who is known reports as himself; a viewer nobody knows keeps the token he has.
    token = None
    if user is None:
        token = gateway.tokens.mint_anonymous(gateway.settings.viewer_token_s)
    response = answer(described(gateway, document) | {"viewerToken": token})
    if token is not None:
        response.set_cookie(
            VIEWER_COOKIE,
            token,
            max_age=gateway.settings.viewer_token_s,
            httponly=True,
            samesite="Lax",
            secure=request.secure,
        )
    return response


def described(gateway: Gateway, document: VideoDocument) -> dict[str, Any]:
    base = media_base(gateway, document.video_id)
    return {
        "videoId": document.video_id,
        "creatorId": document.creator_id,
        "title": document.title,
        "description": document.description,
        "state": document.state,
        "complete": document.complete,
        "hlsUrl": base + document.hls_key,
        "dashUrl": base + document.dash_key if document.dash_key else None,
        "posterUrl": image_url(gateway, document.poster_key),
        "durationMs": document.duration_ms,
        "captions": [],
        "expiresAtMs": expires_at_ms(gateway),
    }


async def manifest(request: web.Request) -> web.Response:
    """GET /v1/videos/{video_id}/manifest: 302 to the signed address."""
    gateway = gateway_of(request)
    document = await playable(request)
    url = media_base(gateway, document.video_id) + document.hls_key
    return web.Response(status=302, headers={"Location": url, "Cache-Control": "no-store"})
