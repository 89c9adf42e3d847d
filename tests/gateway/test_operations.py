"""What operators see and do over HTTP: the log, dead letters, rebuild, fsck, describe."""

from typing import Any

from millrace.schemas.events import DeadLettered
from tests.gateway.world import World

LETTER = "a" * 32


def operator(world: World) -> dict[str, str]:
    return world.bearer("op", "operator")


async def letter(world: World, kind: str = "parked") -> None:
    await world.log.append(
        "dead-letters",
        DeadLettered(
            letter_id=LETTER,
            kind=kind,
            topology="sources",
            step="sources",
            topic="uploads",
            partition=1,
            offset=7,
            key=b"key",
            reason="KeyError: 'x'",
            payload=b"\x00\xff",
        ),
    )


async def test_the_log_is_read_in_pages(world: World) -> None:
    for _ in range(3):
        await world.uploaded()
    seen: list[dict[str, Any]] = []
    for partition in range(4):
        after = -1
        while True:
            path = f"/v1/log/uploads?partition={partition}&after={after}&limit=2"
            _, page = await world.call("GET", path, headers=operator(world))
            if not page["records"]:
                break
            seen += page["records"]
            after = page["after"]
    assert len(seen) == 9
    started = next(record for record in seen if record["event"] == "UploadStarted")
    assert started["body"]["title"] == "A clip"


async def test_the_log_is_for_operators_and_knows_its_topics(world: World) -> None:
    response, _ = await world.call("GET", "/v1/log/uploads")
    assert response.status == 403
    response, _ = await world.call("GET", "/v1/log/nothing", headers=operator(world))
    assert response.status == 404
    path = "/v1/log/uploads?partition=99"
    response, _ = await world.call("GET", path, headers=operator(world))
    assert response.status == 400


async def test_a_dead_letter_is_listed_read_and_driven_again(world: World) -> None:
    await letter(world)
    _, page = await world.call("GET", "/v1/dead-letters", headers=operator(world))
    assert [found["letterId"] for found in page["items"]] == [LETTER]
    path = f"/v1/dead-letters/{LETTER}"
    _, body = await world.call("GET", path, headers=operator(world))
    assert (body["reason"], body["payloadBase64"]) == ("KeyError: 'x'", "AP8=")
    response, _ = await world.call("POST", f"{path}/redrive", headers=operator(world))
    assert response.status == 202
    (asked,) = world.log.events("redrives")
    assert (asked.letter_id, asked.topic, asked.offset, asked.key) == (LETTER, "uploads", 7, b"key")


async def test_the_letter_of_a_work_is_not_driven_again_but_says_what_to_do(world: World) -> None:
    await letter(world, "work")
    path = f"/v1/dead-letters/{LETTER}/redrive"
    response, problem = await world.call("POST", path, headers=operator(world))
    assert (response.status, problem["reason"]) == (409, "work_is_not_redriven")
    assert "/retry" in problem["detail"]
    assert world.log.events("redrives") == []


async def test_a_page_of_the_log_that_nobody_can_read_is_not_its_end(world: World) -> None:
    for _ in range(2):
        await world.uploaded()
    for partition in range(4):
        world.log.unreadable = {("uploads", partition, offset) for offset in (0, 1, 2)}
        after, end, seen = -1, 0, 0
        while after == -1 or after + 1 < end:
            path = f"/v1/log/uploads?partition={partition}&after={after}&limit=2"
            _, page = await world.call("GET", path, headers=operator(world))
            seen += len(page["records"])
            if page["end"] == 0:
                break
            assert page["after"] > after
            after, end = page["after"], page["end"]
        assert (seen, end) == (max(0, end - 3), world.log.count("uploads", partition))


async def test_dead_letters_are_for_operators(world: World) -> None:
    await letter(world)
    for method, path in (
        ("GET", "/v1/dead-letters"),
        ("GET", f"/v1/dead-letters/{LETTER}"),
        ("POST", f"/v1/dead-letters/{LETTER}/redrive"),
        ("POST", "/v1/operations/fsck"),
    ):
        response, _ = await world.call(method, path)
        assert response.status == 403, path
    response, _ = await world.call("GET", f"/v1/dead-letters/{'0' * 32}", headers=operator(world))
    assert response.status == 404


async def test_rebuild_and_fsck_answer_their_reports(world: World) -> None:
    path = "/v1/operations/rebuild"
    response, report = await world.call(
        "POST", path, {"projection": "all"}, headers=operator(world)
    )
    assert (response.status, report["equal"], world.asked) == (200, True, ["all"])
    response, _ = await world.call("POST", path, {"projection": "nothing"}, headers=operator(world))
    assert response.status == 422
    switched = {"projection": "all", "then": "switch"}
    response, problem = await world.call("POST", path, switched, headers=operator(world))
    assert (response.status, problem["detail"].count("one machine")) == (422, 1)
    response, report = await world.call("POST", "/v1/operations/fsck", headers=operator(world))
    assert (response.status, report) == (200, {"missing": []})
    response, report = await world.call("GET", "/v1/describe")
    assert report == {"topologies": []}
