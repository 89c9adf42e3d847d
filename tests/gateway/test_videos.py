"""Videos over HTTP: who sees what, lists, edits (API-4, API-6, API-7, DIS-4)."""

import asyncio

import pytest

from millrace.schemas.events import VideoFailed
from millrace.sinks.ports import Table
from millrace.sinks.tables import CREATOR_VIDEOS, PUBLIC_VIDEOS, VIDEOS
from tests.gateway.world import WAIT_S, World


async def test_owner_and_staff_see_all_of_a_video_and_others_what_a_page_needs(
    world: World,
) -> None:
    video_id = await world.ready(passthrough="mine")
    path = f"/v1/videos/{video_id}"
    for headers in (world.bearer(), world.bearer("op", "operator")):
        _, video = await world.call("GET", path, headers=headers)
        assert (video["passthrough"], video["state"]) == ("mine", "READY")
    for headers in (world.bearer("ben"), {"Accept": "*/*"}):
        response, video = await world.call("GET", path, headers=headers)
        assert (response.status, video["title"]) == (200, "A clip")
        assert not {"passthrough", "positions", "sha256", "uploadSessionId"} & set(video)


async def test_a_private_video_is_not_even_said_to_exist(world: World) -> None:
    video_id = await world.ready(visibility="private")
    for path in ("", "/playback", "/views", "/manifest"):
        response, _ = await world.call(
            "GET", f"/v1/videos/{video_id}{path}", headers=world.bearer("ben")
        )
        assert response.status == 404, path
    response, _ = await world.call("GET", f"/v1/videos/{video_id}")
    assert response.status == 200


async def test_an_edit_is_answered_with_the_edited_video(world: World) -> None:
    video_id = await world.uploaded()
    path = f"/v1/videos/{video_id}"
    response, video = await world.call("PATCH", path, {"title": "B", "tags": ["x"]})
    assert (response.status, video["title"], video["tags"]) == (200, "B", ["x"])
    assert video["description"] == ""
    assert response.headers["Millrace-Position"].startswith("publications:")
    _, video = await world.call("GET", path)
    assert video["title"] == "B"


async def test_the_next_read_sees_an_edit_though_the_tables_follow_later(world: World) -> None:
    video_id = await world.uploaded()
    world.log.lag_s = 0.05
    path = f"/v1/videos/{video_id}"
    response, video = await world.call("PATCH", path, {"title": "B"})
    assert (response.status, video["title"]) == (200, "B")
    _, video = await world.call("GET", path)
    assert video["title"] == "B"


@pytest.mark.parametrize(
    ("table", "path"),
    [(CREATOR_VIDEOS, "/v1/creators/me/videos"), (PUBLIC_VIDEOS, "/v1/videos")],
)
async def test_a_list_read_after_an_edit_shows_it(world: World, table: Table, path: str) -> None:
    video_id = await world.ready()
    (stale,) = world.tables.scan(table)
    response, _ = await world.call("PATCH", f"/v1/videos/{video_id}", {"title": "B"})
    (fresh,) = world.tables.scan(table)
    world.tables.forget(table)
    world.tables.upsert(table, [stale])
    asyncio.get_running_loop().call_later(WAIT_S / 3, world.tables.upsert, table, [fresh])
    position = {"Millrace-Position": response.headers["Millrace-Position"]}
    _, page = await world.call("GET", path, headers={**world.bearer(), **position})
    assert [found["title"] for found in page["items"]] == ["B"]


async def test_a_read_of_another_video_waits_for_nothing(patient: World) -> None:
    world = patient
    other, video_id = await world.uploaded(), await world.uploaded()
    (row,) = [r for r in world.tables.scan(VIDEOS) if r.values["video_id"] == other]
    response, _ = await world.call("PATCH", f"/v1/videos/{video_id}", {"title": "B"})
    assert row.values["document"]["title"] != "B"
    position = {"Millrace-Position": response.headers["Millrace-Position"]}
    began_s = asyncio.get_running_loop().time()
    await world.call("GET", f"/v1/videos/{other}", headers={**world.bearer(), **position})
    assert asyncio.get_running_loop().time() - began_s < 4


async def test_an_edit_by_another_user_is_403_and_one_that_changes_nothing_422(
    world: World,
) -> None:
    path = f"/v1/videos/{await world.uploaded()}"
    response, _ = await world.call("PATCH", path, {"title": "B"}, headers=world.bearer("ben"))
    assert response.status == 403
    response, _ = await world.call("PATCH", path, {})
    assert response.status == 422
    response, _ = await world.call("PATCH", path, {"title": None})
    assert response.status == 422


async def test_public_and_ready_videos_are_listed_newest_first_in_pages(world: World) -> None:
    made = []
    for _ in range(5):
        world.clock.at_ms += 1000
        made.append(await world.ready())
    await world.ready(visibility="unlisted")
    await world.uploaded()
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        _, page = await world.call("GET", f"/v1/videos?limit=2{cursor}")
        seen += [video["videoId"] for video in page["items"]]
        cursor = page["nextCursor"] and f"&cursor={page['nextCursor']}"
    assert seen == made[::-1]


async def test_a_creator_sees_all_his_videos_and_others_the_public_ready_ones(
    world: World,
) -> None:
    public = await world.ready()
    await world.uploaded()
    _, own = await world.call("GET", "/v1/creators/me/videos")
    assert len(own["items"]) == 2
    creator = world.tokens.pseudonym("ann")
    path = f"/v1/creators/{creator}/videos"
    _, others = await world.call("GET", path, headers=world.bearer("ben"))
    assert [video["videoId"] for video in others["items"]] == [public]


async def test_a_video_made_private_leaves_the_public_list(world: World) -> None:
    video_id = await world.ready()
    await world.call("PATCH", f"/v1/videos/{video_id}", {"visibility": "private"})
    _, page = await world.call("GET", "/v1/videos")
    assert page["items"] == []


async def test_a_cursor_that_is_none_of_ours_is_400(world: World) -> None:
    for cursor in ("x", "W10", "WyJhIiwxXQ", "bnVsbA", "A" * 2000, "%F0%9F%98%80"):
        response, problem = await world.call("GET", f"/v1/videos?cursor={cursor}")
        assert (response.status, problem["code"]) == (400, "bad_parameter"), cursor


async def test_limits_are_bounded(world: World) -> None:
    for limit in ("0", "101", "-1", "x", "1e3", "9" * 30, ""):
        response, _ = await world.call("GET", f"/v1/videos?limit={limit}")
        assert response.status == 400, limit


def broken(video_id: str) -> VideoFailed:
    return VideoFailed(video_id, 1, "broken", "It is broken.", True)


async def test_a_read_with_a_position_waits_for_the_tables(world: World) -> None:
    video_id = await world.uploaded()
    world.log.lag_s = 0.1
    at = await world.log.append("publications", broken(video_id))
    position = f"{at.topic}:{at.partition}:{at.offset}"
    path = f"/v1/videos/{video_id}"
    _, video = await world.call("GET", path)
    assert video["state"] == "UPLOADED"
    headers = {**world.bearer(), "Millrace-Position": position}
    _, video = await world.call("GET", path, headers=headers)
    assert (video["state"], video["error"]["code"]) == ("FAILED", "broken")


async def test_a_read_waits_no_longer_than_its_bound(world: World) -> None:
    video_id = await world.uploaded()
    world.log.held = True
    at = await world.log.append("publications", broken(video_id))
    position = f"{at.topic}:{at.partition}:{at.offset}"
    headers = {**world.bearer(), "Millrace-Position": position}
    response, video = await world.call("GET", f"/v1/videos/{video_id}", headers=headers)
    assert (response.status, video["state"]) == (200, "UPLOADED")


async def test_a_position_that_is_none_is_400(world: World) -> None:
    video_id = await world.uploaded()
    for position in ("x", "nothing:0:0", "uploads:a:b", "uploads:0"):
        headers = {**world.bearer(), "Millrace-Position": position}
        response, _ = await world.call("GET", f"/v1/videos/{video_id}", headers=headers)
        assert response.status == 400, position
