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
from millrace.schemas.topics import BY_NAME, PUBLICATIONS, SOURCES, THUMBNAILS, UPLOADS
from millrace.sinks.ports import Appended, StoreBusy, Table

T = TypeVar("T")
FORM = pattern(r"([a-z-]{1,64}):([0-9]{1,6}):([0-9]{1,18})")
# Of these topics a document says how far it reflects them; of others there is nothing to wait for.
REFLECTED = frozenset({UPLOADS.name, SOURCES.name, THUMBNAILS.name, PUBLICATIONS.name})
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


async def subject(gateway: Gateway, position: Position | None) -> str | None:
    """The video that the record there is about; None where no document can reflect it.

    A client brings the position of its last write to whatever it reads next: a read of another
    video has nothing to wait for.
    """
    if position is None or position.topic not in REFLECTED:
        return None
    place = position.topic, position.partition, position.offset - 1
    try:
        records = await gateway.ports.log.read(*place, 1)
    except StoreBusy:
        return None
    if not records or records[0].offset != position.offset:
        return None
    video_id: str | None = getattr(records[0].event, "video_id", None)
    return video_id


async def honour(request: web.Request, video_id: str) -> None:
    """Waits for the position that the client brings, before a read of the video."""
    gateway, position = gateway_of(request), asked(request)
    if position is not None and await subject(gateway, position) == video_id:
        await wait_for_video(gateway, video_id, position)


async def honour_in_list(request: web.Request, table: Table, partition: str) -> None:
    """As honour, before a read of a list: waits until its row of the video is as new, or gone."""
    gateway, position = gateway_of(request), asked(request)
    video_id = await subject(gateway, position)
    if position is None or video_id is None:
        return
    document = await wait_for_video(gateway, video_id, position)
    if document is None:
        return
    place = (partition,), (document.created_at_ms, video_id)

    async def look() -> bool | None:
        row = await gateway.read(gateway.ports.tables.get, table, *place)
        if row is None:
            # What has left this list, or never was in it, leaves no row to look at.
            return None if document.listed else True
        there = VideoDocument.from_record(row.values["document"])
        return True if reflects(there, position) else None

    try:
        await until(look, gateway.settings.projection_wait_s)
    except StoreBusy:
        return
