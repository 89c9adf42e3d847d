"""GET /v1/videos/{id}/views (CNT-4): counted views, in all and hour by hour."""

from aiohttp import web

from millrace.gateway.answers import answer
from millrace.gateway.context import Gateway, gateway_of, user_of
from millrace.gateway.paging import as_cursor, cursor, limit, path_id
from millrace.gateway.positions import honour
from millrace.gateway.reading import check_visible, known_video
from millrace.sinks.tables import VIEW_HOURS

# An hour is a row: a year is nine pages.
PAGE = 1000


async def read(request: web.Request) -> web.Response:
    """Totals of all time, and a page of hours, latest first."""
    gateway = gateway_of(request)
    video_id = path_id(request, "video_id", "video")
    size, after = limit(request, 24, 1000), cursor(request, (int,))
    await honour(request, video_id)
    check_visible(user_of(request), await known_video(gateway, video_id))
    counted, rejected, late = await totals(gateway, video_id)
    page = await gateway.read(
        gateway.ports.tables.page,
        VIEW_HOURS,
        (video_id,),
        after=after,
        limit=size,
        descending=True,
    )
    hours = [
        {
            "hourMs": row.values["hour_ms"],
            "counted": row.values["counted"],
            "rejected": row.values["rejected"],
            "late": row.values["late"],
        }
        for row in page.rows
    ]
    body = {
        "videoId": video_id,
        "counted": counted,
        "rejected": rejected,
        "late": late,
        "hours": hours,
        "nextCursor": as_cursor(page.after),
    }
    return answer(body)


async def totals(gateway: Gateway, video_id: str) -> tuple[int, int, int]:
    """Counted, rejected and late, summed over every hour."""
    counted = rejected = late = 0
    after = None
    while True:
        page = await gateway.read(
            gateway.ports.tables.page, VIEW_HOURS, (video_id,), after=after, limit=PAGE
        )
        for row in page.rows:
            counted += row.values["counted"]
            rejected += row.values["rejected"]
            late += row.values["late"]
        if page.after is None:
            return counted, rejected, late
        after = page.after
