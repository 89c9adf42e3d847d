"""What players report over HTTP: clamped, stamped, gathered by partition (CNT-1)."""

import asyncio
from typing import Any

from millrace.gateway.playback_events import KNOWN_S
from millrace.schemas.events import ClientEvent
from millrace.schemas.partitioning import partition_of
from millrace.schemas.topics import viewer_key
from tests.gateway.memory_log import PARTITIONS
from tests.gateway.world import World

PATH = "/v1/playback-events"


def event(video_id: str, number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "eventId": f"e{number}",
        "videoId": video_id,
        "sessionId": "s1",
        "kind": "progress",
        "positionMs": 1000,
        "watchedMs": 1000,
        **fields,
    }


def reported(world: World) -> list[ClientEvent]:
    return [event for record in world.log.events("playback-events") for event in record.events]


async def test_one_event_or_a_batch_is_on_the_log_when_it_is_accepted(world: World) -> None:
    video_id = await world.ready(duration_ms=5280)
    response, body = await world.call("POST", PATH, event(video_id))
    assert (response.status, body) == (202, {"accepted": 1})
    batch = {"events": [event(video_id, number) for number in (2, 3)]}
    response, body = await world.call("POST", PATH, batch)
    assert (response.status, body) == (202, {"accepted": 2})
    assert [found.event_id for found in reported(world)] == ["e1", "e2", "e3"]
    # The length is ours, never the client's.
    assert {found.duration_ms for found in reported(world)} == {5280}


async def test_the_viewer_is_a_pseudonym_of_the_token(world: World) -> None:
    video_id = await world.ready()
    await world.call("POST", PATH, event(video_id), headers=world.bearer("ben", "viewer"))
    (found,) = reported(world)
    assert found.viewer_id == world.tokens.pseudonym("ben")
    assert "ben" not in found.viewer_id


async def test_a_viewer_nobody_knows_reports_with_the_token_of_his_playback(
    world: World,
) -> None:
    video_id = await world.ready()
    nobody = {"Accept": "*/*"}
    response, problem = await world.call("POST", PATH, event(video_id), headers=nobody)
    assert (response.status, problem["code"]) == (401, "no_token")
    _, body = await world.call("GET", f"/v1/videos/{video_id}/playback", headers=nobody)
    # The cookie of the same jar, then the header of an embed elsewhere: the same viewer.
    response, _ = await world.call("POST", PATH, event(video_id), headers=nobody)
    assert response.status == 202
    world.client.session.cookie_jar.clear()
    headers = {"Millrace-Viewer": body["viewerToken"]}
    response, _ = await world.call("POST", PATH, event(video_id, 2), headers=headers)
    assert response.status == 202
    assert len({found.viewer_id for found in reported(world)}) == 1
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_an_anonymous_token_opens_nothing_else(world: World) -> None:
    token = world.tokens.mint_anonymous(60)
    headers = {"Authorization": f"Bearer {token}"}
    body = {"title": "A", "sizeBytes": 1}
    response, _ = await world.call("POST", "/v1/uploads", body, headers=headers)
    assert response.status == 403
    response, _ = await world.call("GET", "/v1/me/profile", headers=headers)
    assert response.status == 403
    creator = {"Millrace-Viewer": world.tokens.mint("ann", ("creator",), 60)}
    response, _ = await world.call("POST", "/v1/uploads", body, headers=creator)
    assert response.status == 403


async def test_a_clients_clock_is_clamped_to_the_receipt(world: World) -> None:
    video_id = await world.ready()
    now_ms, week_ms = world.clock.at_ms, 7 * 86_400_000
    clocks = [now_ms + 5000, now_ms - 5000, 0]
    batch = [event(video_id, n, clientAtMs=at) for n, at in enumerate(clocks)]
    batch.append(event(video_id, 9))
    await world.call("POST", PATH, {"events": batch})
    found = [one.client_at_ms for one in reported(world)]
    assert found == [now_ms, now_ms - 5000, now_ms - week_ms, now_ms]


async def test_each_record_holds_events_of_its_own_partition_alone(world: World) -> None:
    videos = [await world.ready() for _ in range(6)]
    batch = {"events": [event(video_id, n) for n, video_id in enumerate(videos)]}
    response, _ = await world.call("POST", PATH, batch)
    assert response.status == 202
    seen = 0
    for (topic, partition), records in world.log.records.items():
        if topic != "playback-events":
            continue
        for record in records:
            for one in record.event.events:
                assert partition_of(viewer_key(one), PARTITIONS) == partition
                seen += 1
    assert seen == 6


async def test_requests_that_come_together_share_a_record(world: World) -> None:
    video_id = await world.ready()
    sent = [world.call("POST", PATH, event(video_id, number)) for number in range(20)]
    answers = await asyncio.gather(*sent)
    assert {response.status for response, _ in answers} == {202}
    assert len(reported(world)) == 20
    assert len(world.log.events("playback-events")) < 20


async def test_events_that_make_no_sense_are_refused_whole(world: World) -> None:
    video_id = await world.ready()
    wrong: tuple[dict[str, Any], ...] = (
        event(video_id, kind="won"),
        event(video_id, positionMs=-1),
        event(video_id, watchedMs="1"),
        event(video_id, eventId="x" * 65),
        event(video_id, viewerId="ann"),
        {"events": []},
        {"events": [event(video_id)] * 501},
    )
    for body in wrong:
        response, _ = await world.call("POST", PATH, body)
        assert response.status == 422, body
    assert reported(world) == []


async def test_what_the_viewer_is_not_offered_is_accepted_alike_and_counts_for_nothing(
    world: World,
) -> None:
    private = await world.ready(visibility="private")
    blocked, unready = await world.ready(), await world.uploaded()
    watched = await world.ready()
    ben = world.bearer("ben", "viewer")
    await world.call("POST", PATH, event(blocked), headers=ben)
    assert len(reported(world)) == 1
    moderator = world.bearer("mo", "moderator")
    path = f"/v1/videos/{blocked}/block"
    await world.call("POST", path, {"reason": "x"}, headers=moderator)
    for video_id in (private, unready, "0" * 32):
        response, body = await world.call("POST", PATH, event(video_id), headers=ben)
        assert (response.status, body) == (202, {"accepted": 1}), video_id
    # What is remembered of a video is believed for KNOWN_S.
    for number in range(100, 100 + int(10 * KNOWN_S) + 10):
        await asyncio.sleep(0.1)
        before = len(reported(world))
        await world.call("POST", PATH, event(blocked, number), headers=ben)
        if len(reported(world)) == before:
            break
    else:
        raise AssertionError("a blocked video's events are counted for ever")
    await world.call("POST", PATH, event(blocked, 99), headers=ben)
    assert "e99" not in {found.event_id for found in reported(world)}, "it is believed again"
    believed = {found.event_id for found in reported(world)} - {"e1"}
    batch = {"events": [event(private), event(watched, 3), event("0" * 32)]}
    response, body = await world.call("POST", PATH, batch, headers=ben)
    assert (response.status, body) == (202, {"accepted": 3})
    assert {found.event_id for found in reported(world)} - believed == {"e1", "e3"}
    # The owner may watch what is private; nobody else learns so by what is remembered.
    await world.call("POST", PATH, event(private, 4))
    await world.call("POST", PATH, event(private, 5), headers=ben)
    assert {found.event_id for found in reported(world)} - believed == {"e1", "e3", "e4"}


async def test_events_are_taken_while_the_tables_are_away(world: World) -> None:
    video_id = await world.ready(duration_ms=5280)
    world.tables.away = True
    response, _ = await world.call("POST", PATH, event(video_id))
    assert response.status == 202
    assert [found.duration_ms for found in reported(world)] == [0]


async def test_a_log_that_is_away_is_503_to_everybody_who_waits(world: World) -> None:
    video_id = await world.ready()
    world.log.busy = True
    sent = [world.call("POST", PATH, event(video_id, number)) for number in range(3)]
    answers = await asyncio.gather(*sent)
    assert {response.status for response, _ in answers} == {503}


async def test_embeds_on_other_origins_may_ask_first(world: World) -> None:
    response, _ = await world.call("OPTIONS", PATH)
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Millrace-Viewer" in response.headers["Access-Control-Allow-Headers"]
