"""POST /v1/playback-events (CNT-1): what players report, one event or a batch.

Client clocks are clamped to the receipt, the video's length is ours, the viewer a pseudonym. Events
of one record are of one partition; ids make repeats harmless.
"""

from aiohttp import web

from millrace.gateway.answers import answer
from millrace.gateway.auth import require
from millrace.gateway.bodies import EventBody, EventsBody, read_body, read_bytes
from millrace.gateway.context import Gateway, gateway_of, user_of
from millrace.gateway.errors import UNKNOWN_VIDEO, Problem
from millrace.gateway.reading import video
from millrace.schemas.events import ClientEvent
from millrace.schemas.topics import PLAYBACK_EVENTS
from millrace.sinks.ports import StoreBusy

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
    events = await read_events(request)
    lengths = {
        video_id: await duration_ms(gateway, video_id)
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
            duration_ms=lengths[event.video_id],
        )
        for event in events
    ]
    await gateway.batches.add(found)
    gateway.metrics.appended.labels(PLAYBACK_EVENTS.name).inc(len(found))
    return answer({"accepted": len(found)}, 202, headers=CORS)


async def read_events(request: web.Request) -> list[EventBody]:
    """One event or {"events": [...]}. Raises Problem 400, 413, 415, 422."""
    if b'"events"' in await read_bytes(request):
        return (await read_body(request, EventsBody)).events
    return [await read_body(request, EventBody)]


def clamped(gateway: Gateway, event: EventBody, received_ms: int) -> int:
    """The client's clock within what can be true: not after the receipt, not ages before it."""
    if not isinstance(event.client_at_ms, int):
        return received_ms
    oldest_ms = received_ms - gateway.settings.client_clock_lag_ms_max
    return min(received_ms, max(oldest_ms, event.client_at_ms))


async def duration_ms(gateway: Gateway, video_id: str) -> int:
    """Length of the video, 0 where it can't be known now. Raises Problem UNKNOWN_VIDEO."""
    known = gateway.durations.get(video_id)
    if known is not None:
        return known
    try:
        document = await video(gateway, video_id)
    except StoreBusy:
        return 0
    if document is None:
        raise Problem(UNKNOWN_VIDEO, video_id=video_id)
    if document.duration_ms:
        gateway.durations.put(video_id, document.duration_ms)
    return document.duration_ms
