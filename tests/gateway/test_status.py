"""Status, progress and explain over HTTP: how far, what it waits for, pushed and read (TRN-15)."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from millrace.gateway.explain import overdue_ms
from millrace.gateway.progress import FINAL, LOOK_S, push
from millrace.schemas.events import (
    RenditionProgressed,
    VideoPublished,
)
from millrace.sinks.ports import Row, Version
from millrace.sinks.tables import PROGRESS, STEPS, WAITING
from tests.gateway.world import World, build_world, close
from tests.processors.playlists.renditions import make_rung


def rung(video_id: str, name: str, height: int, **values: Any) -> dict[str, Any]:
    return {
        "video_id": video_id,
        "rung": name,
        "epoch": 1,
        "state": "encoding",
        "chunks_done": 1,
        "chunks_total": 4,
        "width": height * 16 // 9,
        "height": height,
        "size_bytes": 10,
        **values,
    }


async def test_each_step_and_rung_says_how_far_it_is_and_when_it_may_be_done(
    world: World,
) -> None:
    video_id = await world.ready()
    step = {"video_id": video_id, "step": "cut", "epoch": 1, "state": "done", "worker": "w1"}
    step |= {"attempt": 1, "at_ms": world.clock.at_ms, "detail": {"chunks": 4}}
    old = {**step, "step": "audio", "epoch": 0}
    world.tables.upsert(STEPS, [Row(step, Version(0, 1)), Row(old, Version(0, 1))])
    rungs = [
        rung(video_id, "480p", 480),
        rung(video_id, "240p", 240, state="complete", chunks_done=None, chunks_total=None),
    ]
    world.tables.upsert(PROGRESS, [Row(values, Version(0, 1)) for values in rungs])
    world.clock.at_ms += 10_000
    response, status = await world.call("GET", f"/v1/videos/{video_id}/status")
    assert response.status == 200
    assert [(found["step"], found["state"], found["worker"]) for found in status["steps"]] == [
        ("cut", "done", "w1")
    ]
    found = [(r["rung"], r["chunksDone"], r["chunksTotal"]) for r in status["rungs"]]
    assert found == [("240p", 4, 4), ("480p", 1, 4)]
    assert status["estimatedCompletionAtMs"] > world.clock.at_ms


async def test_nothing_is_estimated_before_every_rungs_chunks_are_known(world: World) -> None:
    video_id = await world.ready()
    rungs = [rung(video_id, "240p", 240), rung(video_id, "480p", 480, chunks_total=None)]
    world.tables.upsert(PROGRESS, [Row(values, Version(0, 1)) for values in rungs])
    world.clock.at_ms += 10_000
    _, status = await world.call("GET", f"/v1/videos/{video_id}/status")
    assert [found["chunksTotal"] for found in status["rungs"]] == [4, None]
    assert status["estimatedCompletionAtMs"] is None


async def test_only_owner_and_staff_look_inside(world: World) -> None:
    video_id = await world.ready()
    for what in ("status", "explain", "events"):
        path = f"/v1/videos/{video_id}/{what}"
        response, _ = await world.call("GET", path, headers=world.bearer("ben"))
        assert response.status == 403, what
        response, _ = await world.call("GET", path, headers={"Accept": "*/*"})
        assert response.status == 401, what


async def test_explain_says_what_is_waited_for_since_when_by_whom_and_what_is_next(
    world: World,
) -> None:
    video_id = await world.uploaded()
    values = {
        "video_id": video_id,
        "topology": "sources",
        "step": "sources",
        "state_key": video_id,
        "waits_for": "the probe",
        "since_ms": world.clock.at_ms,
        "holder": "worker 3",
        "next": "the ladder is planned",
        "deadline_name": "probe",
        "deadline_at_ms": world.clock.at_ms + 60_000,
    }
    world.tables.upsert(WAITING, [Row(values, Version(0, 1))])
    world.clock.at_ms += 61_000
    _, body = await world.call("GET", f"/v1/videos/{video_id}/explain")
    (wait,) = [wait for wait in body["waiting"] if wait["topology"] == "sources"]
    assert (wait["waitsFor"], wait["holder"], wait["next"]) == (
        "the probe",
        "worker 3",
        "the ladder is planned",
    )
    assert wait["overdueMs"] == 1000
    assert [found["event"] for found in body["history"]] == ["VideoUploading", "VideoUploaded"]


def test_what_has_no_deadline_is_not_overdue() -> None:
    assert overdue_ms(0, 1_800_000_000_000) == 0
    assert overdue_ms(1_800_000_000_000, 1_800_000_000_000 + 7) == 7


async def next_status(lines: Any) -> dict[str, Any]:
    async for line in lines:
        if line.startswith(b"data: "):
            found: dict[str, Any] = json.loads(line[6:])
            return found
    raise AssertionError("the stream ended")


async def test_progress_is_pushed_until_the_video_is_complete(world: World) -> None:
    video_id = await world.ready()
    path = f"/v1/videos/{video_id}/events"
    async with world.client.get(path, headers=world.bearer()) as response:
        assert response.content_type == "text/event-stream"
        assert response.headers["X-Request-Id"]
        first = await next_status(response.content)
        assert (first["state"], first["complete"]) == ("READY", False)
        world.tables.upsert(PROGRESS, [Row(rung(video_id, "240p", 240), Version(0, 1))])
        await world.log.append(
            "renditions",
            RenditionProgressed(
                video_id=video_id,
                epoch=1,
                chunks_done=1,
                chunks_total=4,
                rendition=make_rung(),
                size_bytes=1,
            ),
        )
        second = await asyncio.wait_for(next_status(response.content), 1.5)
        assert second["rungs"][0]["chunksDone"] == 1
        published = VideoPublished(video_id, 1, "m", "d", 60_000, (), (), ())
        await world.log.append("publications", published)
        last = await asyncio.wait_for(next_status(response.content), 1.5)
        assert last["complete"] is True
        assert await response.content.read() == b"\n"


class Stalled(web.StreamResponse):
    """A stream whose client does not read: what is written to it waits for ever."""

    async def write(self, data: Any) -> None:
        await asyncio.Event().wait()


async def test_a_stream_that_nobody_reads_is_given_up(tmp_path: Path) -> None:
    world = await build_world(tmp_path, stream_write_s=0.05)
    try:
        video_id = await world.uploaded()
        with pytest.raises(TimeoutError):
            await push(world.gateway, video_id, Stalled(), asyncio.Event())
    finally:
        await close(world)


async def test_a_user_has_so_many_streams_and_others_theirs(tmp_path: Path) -> None:
    world = await build_world(tmp_path, streams_per_user_max=1, stream_s_max=0.2)
    try:
        video_id = await world.uploaded()
        path = f"/v1/videos/{video_id}/events"
        async with world.client.get(path, headers=world.bearer()) as one:
            assert one.status == 200
            response, problem = await world.call("GET", path)
            assert (response.status, problem["code"]) == (429, "too_many")
            staff = world.bearer("op", "operator")
            async with world.client.get(path, headers=staff) as other:
                assert other.status == 200
            # A stream ends after its time; there is room then.
            await asyncio.wait_for(one.content.read(), 5)
        async with world.client.get(path, headers=world.bearer()) as again:
            assert again.status == 200
    finally:
        await close(world)


async def test_a_stream_ends_when_the_gateway_drains(world: World) -> None:
    video_id = await world.uploaded()
    async with world.client.get(
        f"/v1/videos/{video_id}/events", headers=world.bearer()
    ) as response:
        first = await next_status(response.content)
        assert first["state"] not in FINAL
        assert world.gateway.streams.total() == 1
        closing = asyncio.create_task(world.client.server.close())
        # Ended in order, with the empty line of its last message and nothing cut off.
        assert await asyncio.wait_for(response.content.read(), LOOK_S) == b"\n"
        await closing
    assert world.gateway.streams.total() == 0
