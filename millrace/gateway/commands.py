"""Commands (design: the fold that owns the state answers): appended, then answered by a fact.

The gateway never states a fact about a video's life from a table that it read. A wait that runs out
is no failure: the command is on the log, and the answer is 202.
"""

import asyncio
import secrets

from aiohttp import web

from millrace.gateway.answers import answer
from millrace.gateway.auth import User, require
from millrace.gateway.bodies import NoBody, ReasonBody, read_body
from millrace.gateway.context import Gateway, gateway_of, user_of
from millrace.gateway.errors import GONE, REFUSED, Problem
from millrace.gateway.paging import path_id
from millrace.gateway.positions import wait_for_video
from millrace.gateway.reading import check_owner, known_video
from millrace.schemas.events import (
    BlockRequested,
    CancelRequested,
    CommandRefused,
    DeleteRequested,
    EditRequested,
    Position,
    RestoreRequested,
    RetryRequested,
    VideoDocument,
)
from millrace.schemas.topics import COMMANDS
from millrace.sinks.ports import Appended

Command = (
    CancelRequested
    | RetryRequested
    | EditRequested
    | DeleteRequested
    | BlockRequested
    | RestoreRequested
)


async def ask(gateway: Gateway, command: Command) -> tuple[Appended, Position | None]:
    """Where the command stands, and where the fact that answered it; None if that is to come.

    Raises Problem REFUSED.
    """
    command_id = secrets.token_hex(16)
    with gateway.feed.answer(command_id) as answered:
        appended = await gateway.append(COMMANDS, command, event_id=command_id)
        try:
            recorded = await asyncio.wait_for(answered, gateway.settings.answer_wait_s)
        except TimeoutError:
            return appended, None
    fact = recorded.event
    if isinstance(fact, CommandRefused):
        raise Problem(REFUSED, why=fact.text, extra={"reason": fact.code})
    position = Position(recorded.topic, recorded.partition, recorded.offset)
    await wait_for_video(gateway, command.video_id, position)
    return appended, position


def pending(asked: Appended, video_id: str) -> web.Response:
    """The command is on the log and will be carried out; nobody has answered yet."""
    return answer({"videoId": video_id, "state": "PENDING"}, 202, position=asked)


async def target(request: web.Request, user: User) -> VideoDocument:
    """The video in the path, which the user may change. Raises Problem 403, 404, 410."""
    video_id = path_id(request, "video_id", "video")
    document = await known_video(gateway_of(request), video_id)
    check_owner(user, document)
    if document.state == "DELETED":
        raise Problem(GONE, why="deleted")
    return document


async def carried_out(request: web.Request, command: Command) -> web.Response:
    """Asks, and answers with the video's state as the answering fact left it."""
    gateway = gateway_of(request)
    asked, fact = await ask(gateway, command)
    if fact is None:
        return pending(asked, command.video_id)
    document = await known_video(gateway, command.video_id)
    return answer({"videoId": command.video_id, "state": document.state}, position=fact)


async def cancel(request: web.Request) -> web.Response:
    """POST /v1/videos/{video_id}/cancel (TRN-16)."""
    user = require(user_of(request), "creator", "operator", "service")
    await read_body(request, NoBody)
    document = await target(request, user)
    return await carried_out(request, CancelRequested(document.video_id, user.user_id))


async def retry(request: web.Request) -> web.Response:
    """POST /v1/videos/{video_id}/retry (TRN-16)."""
    user = require(user_of(request), "creator", "operator", "service")
    await read_body(request, NoBody)
    document = await target(request, user)
    return await carried_out(request, RetryRequested(document.video_id, user.user_id))


async def delete(request: web.Request) -> web.Response:
    """DELETE /v1/videos/{video_id} (API-7)."""
    user = require(user_of(request), "creator", "operator", "service")
    document = await target(request, user)
    return await carried_out(request, DeleteRequested(document.video_id, user.user_id))


async def block(request: web.Request) -> web.Response:
    """POST /v1/videos/{video_id}/block (OPS-2)."""
    user = require(user_of(request), "moderator")
    body = await read_body(request, ReasonBody)
    document = await target(request, user)
    command = BlockRequested(document.video_id, user.user_id, body.reason)
    return await carried_out(request, command)


async def restore(request: web.Request) -> web.Response:
    """POST /v1/videos/{video_id}/restore (OPS-2)."""
    user = require(user_of(request), "moderator")
    body = await read_body(request, ReasonBody)
    document = await target(request, user)
    command = RestoreRequested(document.video_id, user.user_id, body.reason)
    return await carried_out(request, command)
