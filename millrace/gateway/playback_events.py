"""POST /v1/playback-events (CNT-1): what players report, one event or a batch.

Client clocks are clamped to the receipt, the video's length is ours, the viewer a pseudonym. Events
of one record are of one partition; ids make repeats harmless. Events of a video that the viewer is
not offered are accepted and count for nothing: the answer must not tell which ids there are.
"""

import asyncio

from aiohttp import web

from millrace.gateway.answers import answer
from millrace.gateway.auth import User, require
from millrace.gateway.bodies import EventBody, EventsBody, check_type, decode, read_bytes
from millrace.gateway.context import Gateway, gateway_of, user_of
from millrace.gateway.reading import may_watch, video
from millrace.schemas.events import ClientEvent
from millrace.sinks.ports import StoreBusy

# A takedown is seen after so long by what counts views; playback itself sees it at once (PLY-4).
KNOWN_S = 2.0
# Embeds report from other origins. No cookie goes with such a request: the token is in a header.
CORS = {"Access-Control-Allow-Origin": "*"}
PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Millrace-Viewer",
    "Access-Control-Max-Age": "86400",
}


async def preflight(request: web.Request) -> web.Response:
    """OPTIONS /v1/playback-events."""
    return web.Response(status=204, headers=PREFLIGHT)


async def take(request: web.Request) -> web.Response:
    """POST /v1/playback-events; 202 when the events are on the log."""
    gateway = gateway_of(request)
    user = require(user_of(request), "viewer", "creator", "moderator", "operator", "service")
    data = await read_bytes(request)
    check_type(request)
    events = decode_events(data)
    lengths = {
        video_id: await duration_ms(gateway, user, video_id)
        for video_id in dict.fromkeys(event.video_id for event in events)
    }
    received_ms = gateway.ports.now_ms()
    found = [
        ClientEvent(
            event_id=event.event_id,
            video_id=event.video_id,
            viewer_id=user.user_id,
            session_id=event.session_id,
            kind=event.kind,
            position_ms=event.position_ms,
            watched_ms=event.watched_ms,
            client_at_ms=clamped(gateway, event, received_ms),
            duration_ms=length_ms,
        )
        for event in events
        if (length_ms := lengths[event.video_id]) is not None
    ]
    if found:
        await gateway.batches.add(found)
    return answer({"accepted": len(events)}, 202, headers=CORS)


def decode_events(data: bytes) -> list[EventBody]:
    """One event or {"events": [...]}. Raises Problem 400, 422."""
    if b'"events"' in data:
        return decode(data, EventsBody).events
    return [decode(data, EventBody)]


def clamped(gateway: Gateway, event: EventBody, received_ms: int) -> int:
    """The client's clock within what can be true: not after the receipt, not ages before it."""
    if not isinstance(event.client_at_ms, int):
        return received_ms
    oldest_ms = received_ms - gateway.settings.client_clock_lag_ms_max
    return min(received_ms, max(oldest_ms, event.client_at_ms))


async def duration_ms(gateway: Gateway, user: User, video_id: str) -> int | None:
    """Length of the video, 0 where it can't be known now; None where the user can't watch it."""
    now_s = asyncio.get_running_loop().time()
    known = gateway.watched.get(video_id)
    if known is not None:
        if now_s - known[0] < KNOWN_S and may_watch(user, known[1]):
            return known[1].duration_ms
        # Who finds it old reads it; those behind him go on with it until he has.
        gateway.watched.put(video_id, (now_s, known[1]))
    try:
        document = await video(gateway, video_id)
    except StoreBusy:
        # Nothing is lost while the tables are away (OPS-7).
        if known is None:
            return 0
        document = known[1]
    else:
        if document is not None:
            # Not to be watched, too: a takedown must not leave what was known before.
            gateway.watched.put(video_id, (now_s, document))
    return document.duration_ms if document is not None and may_watch(user, document) else None
