"""How people want to be seen (API-7): their own profile, and a creator's as everybody sees it."""

from typing import Any

from aiohttp import web

from millrace.gateway.answers import answer
from millrace.gateway.auth import User, require
from millrace.gateway.bodies import ProfileBody, read_body
from millrace.gateway.context import Gateway, gateway_of, user_of
from millrace.gateway.errors import FORBIDDEN, Problem, not_found
from millrace.gateway.positions import asked, until
from millrace.gateway.reading import profile
from millrace.gateway.videos import creator_in_path
from millrace.schemas.events import ProfileEdited
from millrace.schemas.topics import PROFILES
from millrace.sinks.ports import StoreBusy
from millrace.sinks.tables import CREATOR_VIDEOS


async def read_own(request: web.Request) -> web.Response:
    """GET /v1/me/profile."""
    gateway, user = gateway_of(request), named(request)
    position = asked(request)
    if position is not None and position.topic == PROFILES.name:
        await settled(gateway, user.user_id, position.offset)
    return answer({**await shown(gateway, user.user_id), "roles": sorted(user.roles)})


async def write_own(request: web.Request) -> web.Response:
    """PUT /v1/me/profile."""
    gateway, user = gateway_of(request), named(request)
    body = await read_body(request, ProfileBody)
    event = ProfileEdited(user.user_id, body.name, body.avatar_url)
    appended = await gateway.append(PROFILES, event)
    await settled(gateway, user.user_id, appended.offset)
    found = {
        "creatorId": user.user_id,
        "name": body.name,
        "avatarUrl": body.avatar_url,
        "roles": sorted(user.roles),
    }
    return answer(found, position=appended)


async def read_creator(request: web.Request) -> web.Response:
    """GET /v1/creators/{creator_id}."""
    gateway = gateway_of(request)
    creator_id = creator_in_path(request)
    found = await profile(gateway, creator_id)
    if found is None:
        tables = gateway.ports.tables
        videos = await gateway.read(tables.page, CREATOR_VIDEOS, (creator_id,), limit=1)
        user = user_of(request)
        if not videos.rows and (user is None or user.user_id != creator_id):
            raise not_found("creator")
    return answer(await shown(gateway, creator_id))


def named(request: web.Request) -> User:
    """A user who is somebody. Raises Problem 401, 403."""
    user = require(user_of(request), "viewer", "creator", "moderator", "operator", "service")
    if user.anonymous:
        raise Problem(FORBIDDEN, why="an anonymous viewer has no profile")
    return user


async def shown(gateway: Gateway, user_id: str) -> dict[str, Any]:
    found = await profile(gateway, user_id)
    values = {} if found is None else found[0]
    return {
        "creatorId": user_id,
        "name": values.get("name") or "",
        "avatarUrl": values.get("avatar_url") or "",
    }


async def settled(gateway: Gateway, user_id: str, offset: int) -> None:
    """Returns when the profile's row reflects the offset, or the wait is over."""

    async def look() -> bool | None:
        found = await profile(gateway, user_id)
        return True if found is not None and found[1] >= offset else None

    try:
        await until(look, gateway.settings.projection_wait_s)
    except StoreBusy:
        # The write is on the log; tables that are away don't undo it.
        return
