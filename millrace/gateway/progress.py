"""GET /v1/videos/{id}/events (TRN-15): the status, pushed as server-sent events until it is final.

News on the log wakes the stream; the status itself is read from the tables, so that a client that
comes back later sees the same. A stream holds nothing and may be cut at any time: it ends after an
hour, so that who watches has a token that is still good, and at once where the client does not
read.
"""

import asyncio
from collections import Counter

from aiohttp import web

from millrace.gateway.answers import ENCODER
from millrace.gateway.boundary import REQUEST_ID_HEADER
from millrace.gateway.context import REQUEST_ID, Gateway, gateway_of, user_of
from millrace.gateway.errors import OVERLOADED, TOO_MANY, Problem
from millrace.gateway.reading import video
from millrace.gateway.status import document_in_path, status
from millrace.sinks.ports import StoreBusy

# Projections follow the log by some milliseconds; a burst of chunks is one message.
SETTLE_S = 0.1
LOOK_S = 2.0
FINAL = frozenset({"FAILED", "BLOCKED", "DELETED", "EXPIRED"})


async def stream(request: web.Request) -> web.StreamResponse:
    gateway, user = gateway_of(request), user_of(request)
    document = await document_in_path(request)
    assert user is not None, "the document is nobody's"
    check_room(gateway, user.user_id)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
            REQUEST_ID_HEADER: request[REQUEST_ID],
        }
    )
    gateway.streams[user.user_id] += 1
    try:
        await response.prepare(request)
        with gateway.feed.watch(document.video_id) as news:
            await push(gateway, document.video_id, response, news)
        await response.write_eof()
    except ConnectionResetError:
        # The client has gone; there is nobody to tell.
        pass
    except TimeoutError:
        # It is there and does not read: what waits to be sent is thrown away with the connection.
        if request.transport is not None:
            request.transport.abort()
    finally:
        gateway.streams[user.user_id] -= 1
        gateway.streams += Counter()  # forgets those who have none
    return response


def check_room(gateway: Gateway, user_id: str) -> None:
    """Raises Problem OVERLOADED, or TOO_MANY where the user alone has as many as he may."""
    if gateway.streams.total() >= gateway.settings.streams_max:
        raise Problem(OVERLOADED)
    if gateway.streams[user_id] >= gateway.settings.streams_per_user_max:
        raise Problem(TOO_MANY)


async def push(
    gateway: Gateway, video_id: str, response: web.StreamResponse, news: asyncio.Event
) -> None:
    """Writes the status whenever it differs, until it is final or the gateway stops.

    Raises TimeoutError where the client does not read.
    """
    loop = asyncio.get_running_loop()
    last, number, spoke_at = b"", 0, loop.time()
    end_s = loop.time() + gateway.settings.stream_s_max
    while loop.time() < end_s:
        news.clear()
        found = await look(gateway, video_id)
        if found is not None and found[0] != last:
            last, number, spoke_at = found[0], number + 1, loop.time()
            message = b"id: %d\nevent: status\ndata: %s\n\n" % (number, last)
            await written(gateway, response, message)
        elif loop.time() - spoke_at > gateway.settings.stream_heartbeat_s:
            spoke_at = loop.time()
            await written(gateway, response, b": still here\n\n")
        if (found is not None and found[1]) or gateway.draining.is_set():
            return
        await wake(gateway, news)


async def written(gateway: Gateway, response: web.StreamResponse, message: bytes) -> None:
    async with asyncio.timeout(gateway.settings.stream_write_s):
        await response.write(message)


async def look(gateway: Gateway, video_id: str) -> tuple[bytes, bool] | None:
    """The status as JSON, and whether it is final; None while the tables are away."""
    try:
        document = await video(gateway, video_id)
        if document is None:
            return None
        body = ENCODER.encode(await status(gateway, document))
    except StoreBusy:
        return None
    return body, document.state in FINAL or (document.state == "READY" and document.complete)


async def wake(gateway: Gateway, news: asyncio.Event) -> None:
    """Returns at news, when the gateway drains, or when it is time to look anyway."""
    waits = {asyncio.ensure_future(news.wait()), asyncio.ensure_future(gateway.draining.wait())}
    _, left = await asyncio.wait(waits, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.sleep(SETTLE_S)
