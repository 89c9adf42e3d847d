"""Completing an upload over HTTP: parts and sizes verified, a repeat the same answer (ING-3)."""

import asyncio
from typing import Any

import pytest

from millrace.schemas.events import ObjectSeen
from millrace.sinks.tables import UPLOAD_ENDS
from tests.gateway.world import PART_BYTES, WAIT_S, World


def finished(world: World) -> list[Any]:
    return [e for e in world.log.events("uploads") if e.NAME == "UploadFinished"]


async def test_a_file_goes_part_by_part_past_the_gateway_and_becomes_a_video(world: World) -> None:
    data = b"a" * PART_BYTES + b"b" * 9
    session = await world.upload(data)
    assert session["parts"] == 2
    response, body = await world.complete(session)
    assert (response.status, body["state"]) == (202, "PROCESSING")
    assert [e.size_bytes for e in finished(world)] == [len(data)]
    stat = world.objects.head(finished(world)[0].object_key)
    assert stat is not None
    assert stat.size_bytes == len(data)


async def test_a_repeat_is_the_same_answer_and_no_second_fact(world: World) -> None:
    session = await world.upload()
    first = await world.complete(session)
    again = await world.complete(session)
    assert (first[0].status, first[1]) == (again[0].status, again[1])
    assert len(finished(world)) == 1


async def test_a_repeat_while_the_tables_lag_is_the_same_answer(world: World) -> None:
    session = await world.upload()
    world.log.held = True
    first = await world.complete(session)
    again = await world.complete(session)
    assert (first[0].status, first[1]) == (again[0].status, again[1])
    assert len(finished(world)) == 1


@pytest.mark.parametrize("fault", ["lag", "away"])
async def test_an_upload_goes_on_into_the_log_though_the_tables_lag_or_are_away(
    world: World, fault: str
) -> None:
    world.log.held = True
    world.tables.away = fault == "away"
    response, session = await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": 9})
    position = {"Millrace-Position": response.headers["Millrace-Position"]}
    etag = await world.put(session, session["partUrls"][0], b"a" * 9)
    session["etags"] = [{"number": 1, "etag": etag}]
    response, body = await world.complete(session, headers=world.bearer() | position)
    assert (response.status, body["state"]) == (202, "PENDING")
    assert [e.size_bytes for e in finished(world)] == [9]
    # Another upload's record says nothing of this one.
    elsewhere = {**session, "uploadSessionId": "0" * 32}
    response, _ = await world.complete(elsewhere, headers=world.bearer() | position)
    assert response.status == (503 if fault == "away" else 404)


async def test_missing_and_wrong_parts_are_named(world: World) -> None:
    data = b"a" * PART_BYTES * 2 + b"c"
    _, session = await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": len(data)})
    etags = [
        {"number": part["number"], "etag": await world.put(session, part, data)}
        for part in session["partUrls"][1:]
    ]
    response, problem = await world.complete({**session, "etags": etags})
    assert (response.status, problem["code"]) == (422, "parts_wrong")
    assert (problem["missing"], problem["wrong"]) == ([1], [])
    etags.append({"number": 1, "etag": "0" * 32})
    await world.put(session, session["partUrls"][0], data)
    response, problem = await world.complete({**session, "etags": etags})
    assert (problem["missing"], problem["wrong"]) == ([], [1])
    assert finished(world) == []


async def test_a_part_of_the_wrong_size_is_named(world: World) -> None:
    _, session = await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": 10})
    etag = world.keep(session, 1, b"short")
    etags = [{"number": 1, "etag": etag}]
    response, problem = await world.complete({**session, "etags": etags})
    assert (response.status, problem["wrong"]) == (422, [1])


async def test_an_unknown_part_number_is_named(world: World) -> None:
    session = await world.upload()
    session["etags"].append({"number": 2, "etag": "0" * 32})
    response, problem = await world.complete(session)
    assert (response.status, problem["wrong"]) == (422, [2])


async def test_an_empty_file_is_uploaded_like_any_other(world: World) -> None:
    session = await world.upload(b"")
    response, _ = await world.complete(session)
    assert response.status == 202
    assert [e.size_bytes for e in finished(world)] == [0]


async def test_quoted_etags_are_the_same_etags(world: World) -> None:
    session = await world.upload()
    for part in session["etags"]:
        part["etag"] = f'"{part["etag"]}"'
    response, _ = await world.complete(session)
    assert response.status == 202


async def test_a_session_past_its_time_is_410(world: World) -> None:
    session = await world.upload()
    world.clock.at_ms += 25 * 3_600_000
    response, problem = await world.complete(session)
    assert (response.status, problem["code"]) == (410, "upload_expired")
    assert finished(world) == []


async def test_an_aborted_upload_is_410_and_not_a_video(world: World) -> None:
    session = await world.upload()
    (started,) = world.log.events("uploads")
    world.objects.abort(started.object_key, started.multipart_id)
    response, _ = await world.complete(session)
    assert response.status == 410
    assert finished(world) == []


async def test_a_completion_that_was_not_answered_is_finished_by_its_repeat(world: World) -> None:
    session = await world.upload()
    world.log.busy = True
    response, _ = await world.complete(session)
    assert response.status == 503
    world.log.busy = False
    response, _ = await world.complete(session)
    assert response.status == 202
    assert len(finished(world)) == 1


async def test_the_next_read_sees_the_write(world: World) -> None:
    world.log.lag_s = 0.05
    session = await world.upload()
    await world.complete(session)
    _, video = await world.call("GET", f"/v1/videos/{session['videoId']}")
    assert video["storedAtMs"] is not None


async def test_a_session_whose_time_runs_out_while_its_parts_are_joined_is_410(
    world: World,
) -> None:
    session = await world.upload()
    loop = asyncio.get_running_loop()

    async def expire() -> None:
        world.log.expire(session["videoId"])

    world.objects.joined = lambda: asyncio.run_coroutine_threadsafe(expire(), loop).result()
    response, problem = await world.complete(session)
    assert (response.status, problem["code"]) == (410, "upload_expired")


async def test_what_the_fold_has_not_said_yet_is_pending(world: World) -> None:
    session = await world.upload()
    world.log.held = True
    response, body = await world.complete(session)
    assert (response.status, body["state"]) == (202, "PENDING")
    assert "Millrace-Position" not in response.headers


async def test_the_position_of_a_completion_is_one_that_documents_reflect(patient: World) -> None:
    # The store's own notification comes first: UploadFinished is then news to nobody.
    world = patient
    session = await world.upload()
    (started,) = world.log.events("uploads")
    loop = asyncio.get_running_loop()

    async def notify() -> None:
        place = started.video_id, started.upload_id, started.object_key
        seen = ObjectSeen(*place, started.size_bytes, "etag")
        await world.log.append("uploads", seen)

    world.objects.joined = lambda: asyncio.run_coroutine_threadsafe(notify(), loop).result()
    response, body = await world.complete(session)
    assert (response.status, body["state"]) == (202, "PROCESSING")
    written = {"Millrace-Position": response.headers["Millrace-Position"], **world.bearer()}
    began_s = asyncio.get_running_loop().time()
    await world.call("GET", f"/v1/videos/{session['videoId']}", headers=written)
    await world.call("GET", f"/v1/uploads/{session['uploadSessionId']}", headers=written)
    assert asyncio.get_running_loop().time() - began_s < 4


async def test_a_session_read_after_completing_is_not_open_any_more(world: World) -> None:
    session = await world.upload()
    response, _ = await world.complete(session)
    position = {"Millrace-Position": response.headers["Millrace-Position"]}
    # The next gateway's tables lag: what they say is older than what this client wrote.
    ends = world.tables.get(UPLOAD_ENDS, (session["uploadSessionId"],))
    assert ends is not None
    world.tables.forget(UPLOAD_ENDS)
    asyncio.get_running_loop().call_later(WAIT_S / 3, world.tables.upsert, UPLOAD_ENDS, [ends])
    path = f"/v1/uploads/{session['uploadSessionId']}"
    _, found = await world.call("GET", path, headers={**world.bearer(), **position})
    assert found["state"] == "stored"
