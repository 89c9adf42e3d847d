"""Read your writes (API-6): a write answers where it stands on the log, a read waits for it.

Waiting is bounded and never fails: when the time is over the read answers what there is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from re import compile as pattern
from typing import TypeVar

from aiohttp import web

from millrace.gateway.answers import POSITION_HEADER
from millrace.gateway.context import Gateway, gateway_of
from millrace.gateway.errors import BAD_PARAMETER, Problem
from millrace.gateway.reading import video
from millrace.schemas.events import Position, VideoDocument
from millrace.schemas.topics import BY_NAME
from millrace.sinks.ports import Appended, StoreBusy

T = TypeVar("T")
FORM = pattern(r"([a-z-]{1,64}):([0-9]{1,6}):([0-9]{1,18})")
# A projection follows in some milliseconds; another store's table can only be asked again.
POLL_FIRST_S = 0.005
POLL_MAX_S = 0.05


def asked(request: web.Request) -> Position | None:
    """The position that a client brings. Raises Problem 400."""
    text = request.headers.get(POSITION_HEADER)
    if text is None:
        return None
    match = FORM.fullmatch(text)
    if match is None or match[1] not in BY_NAME:
        raise Problem(BAD_PARAMETER, name=POSITION_HEADER, why="it is topic:partition:offset")
    return Position(match[1], int(match[2]), int(match[3]))


def reflects(document: VideoDocument, position: Position | Appended) -> bool:
    return any(
        (there.topic, there.partition) == (position.topic, position.partition)
        and there.offset >= position.offset
        for there in document.positions
    )


async def until(look: Callable[[], Awaitable[T | None]], bound_s: float) -> T | None:
    """What look finds, asked again until then; None where it did not come in time."""
    loop = asyncio.get_running_loop()
    end, pause_s = loop.time() + bound_s, POLL_FIRST_S
    while (found := await look()) is None and loop.time() + pause_s < end:
        await asyncio.sleep(pause_s)
        pause_s = min(POLL_MAX_S, pause_s * 2)
    return found


async def wait_for_video(
    gateway: Gateway, video_id: str, position: Position | Appended
) -> VideoDocument | None:
    """The document once it reflects the position; None where it did not in time.

    The write itself is safe on the log: tables that are away don't turn it into a failure.
    """

    async def look() -> VideoDocument | None:
        document = await video(gateway, video_id)
        return document if document is not None and reflects(document, position) else None

    try:
        return await until(look, gateway.settings.projection_wait_s)
    except StoreBusy:
        return None


async def honour(request: web.Request, video_id: str) -> None:
    """Waits for the position that the client brings, before a read of the video."""
    position = asked(request)
    if position is not None:
        await wait_for_video(gateway_of(request), video_id, position)
