"""Playback over HTTP: signed addresses at the store's door, and where a video stands (PLY-1..4)."""

from aiohttp import ClientSession

from millrace.schemas.events import PosterMade, VideoFailed
from tests.gateway.world import World

NOBODY = {"Accept": "*/*"}


async def test_the_signed_address_opens_the_manifest_and_what_lies_beside_it(
    world: World,
) -> None:
    video_id = await world.ready()
    world.objects.put_bytes(f"videos/{video_id}/master.m3u8", b"#EXTM3U\n")
    world.objects.put_bytes(f"videos/{video_id}/240p/0.m4s", b"segment")
    _, body = await world.call("GET", f"/v1/videos/{video_id}/playback", headers=NOBODY)
    assert (body["state"], body["durationMs"], body["captions"]) == ("READY", 60_000, [])
    assert body["hlsUrl"].startswith(f"{world.origin}/s/")
    async with ClientSession() as session:
        async with session.get(body["hlsUrl"]) as response:
            assert await response.read() == b"#EXTM3U\n"
        beside = body["hlsUrl"].replace("master.m3u8", "240p/0.m4s")
        async with session.get(beside) as response:
            assert await response.read() == b"segment"


async def test_the_manifest_is_a_redirect_to_the_door(world: World) -> None:
    video_id = await world.ready()
    response, _ = await world.call("GET", f"/v1/videos/{video_id}/manifest", headers=NOBODY)
    assert response.status == 302
    location = response.headers["Location"]
    assert location.startswith(f"{world.origin}/s/")
    assert location.endswith(f"/videos/{video_id}/master.m3u8")


async def test_viewers_share_an_address_for_hours(world: World) -> None:
    video_id = await world.ready()
    urls = set()
    for subject in ("ben", "cem"):
        world.clock.at_ms += 1000
        headers = world.bearer(subject, "viewer")
        _, body = await world.call("GET", f"/v1/videos/{video_id}/playback", headers=headers)
        urls.add(body["hlsUrl"])
        assert body["expiresAtMs"] > world.clock.at_ms + 6 * 3_600_000
    assert len(urls) == 1


async def test_a_poster_has_an_address_once_it_is_made(world: World) -> None:
    video_id = await world.ready()
    path = f"/v1/videos/{video_id}/playback"
    _, body = await world.call("GET", path)
    assert body["posterUrl"] is None
    key = f"images/{'0' * 64}.jpg"
    world.objects.put_bytes(key, b"jpeg")
    await world.log.append("thumbnails", PosterMade(video_id, 1, key, 640, 360, 4))
    _, body = await world.call("GET", path)
    async with ClientSession() as session, session.get(body["posterUrl"]) as response:
        assert await response.read() == b"jpeg"


async def test_a_video_that_is_not_ready_says_where_it_stands(world: World) -> None:
    session = await world.upload()
    path = f"/v1/videos/{session['videoId']}/playback"
    response, problem = await world.call("GET", path)
    assert (response.status, problem["code"], problem["state"]) == (409, "not_ready", "UPLOADING")
    await world.complete(session)
    _, problem = await world.call("GET", path)
    assert problem["state"] == "UPLOADED"
    failed = VideoFailed(session["videoId"], 1, "no_video", "There is no picture.", False)
    await world.log.append("publications", failed)
    _, problem = await world.call("GET", path)
    assert problem["state"] == "FAILED"


async def test_an_unknown_video_is_404(world: World) -> None:
    for video_id in ("0" * 32, "x", "..%2f..%2fsecret", "A" * 32, "0" * 33):
        response, problem = await world.call("GET", f"/v1/videos/{video_id}/playback")
        assert (response.status, problem["code"]) == (404, "not_found"), video_id


async def test_playback_goes_on_from_what_was_read_while_the_tables_are_away(
    world: World,
) -> None:
    video_id = await world.ready()
    path = f"/v1/videos/{video_id}/playback"
    await world.call("GET", path)
    world.tables.away = True
    response, body = await world.call("GET", path)
    assert (response.status, body["state"]) == (200, "READY")
    response, _ = await world.call("GET", f"/v1/videos/{video_id}")
    assert response.status == 503
