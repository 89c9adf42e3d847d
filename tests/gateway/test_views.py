"""Counted views over HTTP (CNT-4)."""

from millrace.schemas.events import VideoHourCounted
from millrace.sinks.ports import Row, Version
from millrace.sinks.tables import VIEW_HOURS
from tests.gateway.world import World

HOUR_MS = 3_600_000


async def test_views_are_summed_over_all_hours_and_shown_hour_by_hour(world: World) -> None:
    video_id = await world.ready()
    for hour in range(5):
        counted = VideoHourCounted(video_id, hour * HOUR_MS, hour, 1, 0)
        await world.log.append("view-totals", counted)
    path = f"/v1/videos/{video_id}/views"
    _, body = await world.call("GET", f"{path}?limit=3", headers={"Accept": "*/*"})
    assert (body["counted"], body["rejected"], body["late"]) == (10, 5, 0)
    assert [hour["counted"] for hour in body["hours"]] == [4, 3, 2]
    _, rest = await world.call("GET", f"{path}?limit=3&cursor={body['nextCursor']}")
    assert [hour["hourMs"] for hour in rest["hours"]] == [HOUR_MS, 0]
    assert (rest["counted"], rest["nextCursor"]) == (10, None)


async def test_no_hour_is_left_out_however_many_there_are(world: World) -> None:
    video_id = await world.ready()
    hour = {"video_id": video_id, "counted": 1, "rejected": 0, "late": 0}
    rows = [Row({**hour, "hour_ms": n * HOUR_MS}, Version(0, n)) for n in range(1001)]
    world.tables.upsert(VIEW_HOURS, rows)
    _, body = await world.call("GET", f"/v1/videos/{video_id}/views")
    assert body["counted"] == 1001


async def test_a_video_nobody_saw_has_no_views(world: World) -> None:
    video_id = await world.ready()
    _, body = await world.call("GET", f"/v1/videos/{video_id}/views")
    assert (body["counted"], body["hours"]) == (0, [])
