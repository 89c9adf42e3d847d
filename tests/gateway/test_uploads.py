"""Upload sessions over HTTP: announced, resumed, given up (ING-1, ING-2, ING-11, API-3)."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.gateway.world import PART_BYTES, World

MIB = 1 << 20


async def test_an_upload_is_on_the_log_before_the_client_hears_of_it(world: World) -> None:
    response, body = await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": 7})
    assert response.status == 201
    (started,) = world.log.events("uploads")
    assert started.video_id == body["videoId"]
    assert started.upload_id == body["uploadSessionId"]
    assert body["parts"] == 1
    assert response.headers["Millrace-Position"].startswith("uploads:")


async def test_the_creator_is_the_tokens_and_a_user_in_the_body_is_refused(world: World) -> None:
    body = {"title": "A", "sizeBytes": 7, "creatorId": "somebody"}
    response, problem = await world.call("POST", "/v1/uploads", body)
    assert (response.status, problem["code"]) == (422, "senseless")
    await world.upload()
    (started,) = world.log.events("uploads")
    assert started.creator_id == world.tokens.pseudonym("ann")


async def test_a_session_can_be_read_at_once(world: World) -> None:
    world.log.lag_s = 0.05
    session = await world.upload()
    response, body = await world.call("GET", f"/v1/uploads/{session['uploadSessionId']}")
    assert response.status == 200
    assert (body["state"], body["videoId"]) == ("open", session["videoId"])


async def test_a_lost_client_learns_which_parts_are_there_and_where_to_send_the_rest(
    world: World,
) -> None:
    data = b"a" * PART_BYTES + b"b" * PART_BYTES + b"c"
    _, session = await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": len(data)})
    await world.put(session, session["partUrls"][1], data)
    _, body = await world.call("GET", f"/v1/uploads/{session['uploadSessionId']}")
    assert [(part["number"], part["sizeBytes"]) for part in body["stored"]] == [(2, PART_BYTES)]
    assert [part["number"] for part in body["partUrls"]] == [1, 3]
    for part in body["partUrls"]:
        await world.put(session, part, data)
    _, body = await world.call("GET", f"/v1/uploads/{session['uploadSessionId']}")
    assert body["partUrls"] == []
    etags = [{"number": part["number"], "etag": part["etag"]} for part in body["stored"]]
    response, _ = await world.complete({**session, "etags": etags})
    assert response.status == 202


async def test_a_part_of_the_wrong_size_is_asked_for_again(world: World) -> None:
    data = b"a" * PART_BYTES + b"b"
    _, session = await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": len(data)})
    world.keep(session, 2, b"too much")
    _, body = await world.call("GET", f"/v1/uploads/{session['uploadSessionId']}")
    assert [part["number"] for part in body["partUrls"]] == [1, 2]


async def test_a_declared_type_is_kept_and_one_that_is_none_refused(world: World) -> None:
    for declared, status in (("video/mp4; codecs=avc1", 201), ("", 201), ("$.", 422)):
        body = {"title": "A", "sizeBytes": 7, "contentType": declared}
        response, _ = await world.call("POST", "/v1/uploads", body)
        assert response.status == status, declared


async def test_part_addresses_come_in_pages(world: World) -> None:
    size = 250 * PART_BYTES
    _, session = await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": size})
    numbers = [part["number"] for part in session["partUrls"]]
    next_part = session["nextPart"]
    while next_part is not None:
        path = f"/v1/uploads/{session['uploadSessionId']}?afterPart={next_part - 1}"
        _, page = await world.call("GET", path)
        numbers += [part["number"] for part in page["partUrls"]]
        next_part = page["nextPart"]
    assert numbers == list(range(1, 251))


async def test_parts_grow_so_that_there_are_never_more_than_a_thousand(world: World) -> None:
    for size in (0, 1, PART_BYTES, 1000 * PART_BYTES, 1000 * PART_BYTES + 1, 200 << 30):
        _, session = await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": size})
        assert 1 <= session["parts"] <= 1000
        assert session["partSizeBytes"] % MIB == 0
        assert (session["parts"] - 1) * session["partSizeBytes"] <= size
        assert size <= session["parts"] * session["partSizeBytes"]


async def test_a_file_over_the_limit_is_413_and_nothing_is_announced(world: World) -> None:
    body = {"title": "A", "sizeBytes": (256 << 30) + 1}
    response, problem = await world.call("POST", "/v1/uploads", body)
    assert (response.status, problem["code"]) == (413, "file_too_large")
    assert world.log.events("uploads") == []


async def test_the_same_key_and_body_is_one_video(world: World) -> None:
    body = {"title": "A", "sizeBytes": 7}
    headers = {**world.bearer(), "Idempotency-Key": "once"}
    first = await world.call("POST", "/v1/uploads", body, headers=headers)
    again = await world.call("POST", "/v1/uploads", body, headers=headers)
    assert (first[0].status, again[0].status) == (201, 201)
    assert first[1]["videoId"] == again[1]["videoId"]
    assert first[1]["partUrls"][0]["url"].split("?")[0] in again[1]["partUrls"][0]["url"]
    assert len(world.log.events("uploads")) == 1


async def test_another_body_under_the_same_key_is_refused(world: World) -> None:
    headers = {**world.bearer(), "Idempotency-Key": "once"}
    await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": 7}, headers=headers)
    body = {"title": "B", "sizeBytes": 7}
    response, problem = await world.call("POST", "/v1/uploads", body, headers=headers)
    assert (response.status, problem["code"]) == (422, "key_reused")


async def test_another_user_with_the_same_key_gets_a_video_of_his_own(world: World) -> None:
    body = {"title": "A", "sizeBytes": 7}
    ids = set()
    for subject in ("ann", "ben"):
        headers = {**world.bearer(subject), "Idempotency-Key": "once"}
        _, session = await world.call("POST", "/v1/uploads", body, headers=headers)
        ids.add(session["videoId"])
    assert len(ids) == 2


@pytest.mark.parametrize("twice", [False, True])
async def test_a_key_that_comes_twice_at_once_is_one_session_that_works(
    world: World, twice: bool
) -> None:
    world.log.twice = twice
    data = b"x" * 9
    body = {"title": "A", "sizeBytes": len(data)}
    headers = {**world.bearer(), "Idempotency-Key": "race"}
    world.log.held = True
    both = [
        asyncio.create_task(world.call("POST", "/v1/uploads", body, headers=headers))
        for _ in range(2)
    ]
    # Both have begun their multipart upload and said so; then the tables follow.
    await world.log.asked(2)
    world.log.held = False
    world.log.run()
    (_, one), (_, two) = await asyncio.gather(*both)
    assert one["uploadSessionId"] == two["uploadSessionId"]
    # Both clients send to the upload that came first; the other was given back.
    assert one["partUrls"] == two["partUrls"]
    (first, *_) = world.log.events("uploads")
    assert upload_of(one) == first.multipart_id
    (upload,) = [*world.objects.uploads()]
    assert upload.multipart_id == first.multipart_id
    etag = await world.put(two, two["partUrls"][0], data)
    two["etags"] = [{"number": 1, "etag": etag}]
    response, _ = await world.complete(two)
    assert response.status == 202


async def test_two_gateways_make_one_video_of_a_repeated_request(world: World) -> None:
    body = {"title": "A", "sizeBytes": 7}
    headers = {**world.bearer(), "Idempotency-Key": "once"}
    _, one = await world.call("POST", "/v1/uploads", body, headers=headers)
    first = world.client
    world.client = await world.another_gateway()
    try:
        response, two = await world.call("POST", "/v1/uploads", body, headers=headers)
        assert (response.status, two["videoId"]) == (201, one["videoId"])
        other = {"title": "B", "sizeBytes": 7}
        response, _ = await world.call("POST", "/v1/uploads", other, headers=headers)
        assert response.status == 422
    finally:
        await world.client.close()
        world.client = first


async def test_two_gateways_with_lagging_tables_make_one_session_of_one_key(
    world: World,
) -> None:
    body = {"title": "A", "sizeBytes": 7}
    headers = {**world.bearer(), "Idempotency-Key": "once"}
    world.log.held = True
    _, one = await world.call("POST", "/v1/uploads", body, headers=headers)
    first = world.client
    world.client = await world.another_gateway()
    try:
        _, two = await world.call("POST", "/v1/uploads", body, headers=headers)
        assert upload_of(two) == upload_of(one)
        await world.put(two, two["partUrls"][0], b"7 bytes")
        response, problem = await world.call(
            "POST", "/v1/uploads", {**body, "title": "B"}, headers=headers
        )
        assert (response.status, problem["code"]) == (422, "key_reused")
    finally:
        await world.client.close()
        world.client = first


def upload_of(session: dict[str, Any]) -> str:
    """The multipart upload that the session's addresses lead to."""
    query: str = urlsplit(session["partUrls"][0]["url"]).query
    return parse_qs(query)["uploadId"][0]


async def test_another_users_session_is_403_and_an_unknown_one_404(world: World) -> None:
    session = await world.upload()
    path = f"/v1/uploads/{session['uploadSessionId']}"
    response, _ = await world.call("GET", path, headers=world.bearer("ben"))
    assert response.status == 403
    response, _ = await world.call("GET", "/v1/uploads/" + "0" * 32)
    assert response.status == 404
    response, _ = await world.call("GET", "/v1/uploads/..%2f..%2fetc")
    assert response.status == 404


async def test_a_viewer_may_not_upload(world: World) -> None:
    body = {"title": "A", "sizeBytes": 7}
    response, _ = await world.call("POST", "/v1/uploads", body, headers=world.bearer("v", "viewer"))
    assert response.status == 403


async def test_a_cancelled_upload_takes_no_completion(world: World) -> None:
    session = await world.upload()
    path = f"/v1/uploads/{session['uploadSessionId']}"
    response, body = await world.call("DELETE", path)
    assert (response.status, body["state"]) == (202, "FAILED")
    response, problem = await world.complete(session)
    assert (response.status, problem["code"]) == (409, "upload_closed")
    _, body = await world.call("GET", path)
    assert (body["state"], body["error"]["code"]) == ("refused", "cancelled")


async def test_an_announcement_is_made_though_the_tables_lag(world: World) -> None:
    world.log.held = True
    response, body = await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": 7})
    assert response.status == 201
    assert len(body["partUrls"]) == 1


async def test_a_log_that_is_away_is_a_503_that_says_when_to_come_back(world: World) -> None:
    world.log.busy = True
    response, problem = await world.call("POST", "/v1/uploads", {"title": "A", "sizeBytes": 7})
    assert (response.status, problem["code"]) == (503, "busy")
    assert int(response.headers["Retry-After"]) >= 1
