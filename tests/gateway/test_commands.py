"""Commands over HTTP: the fold answers, the gateway waits, bounded (TRN-16, OPS-2, API-7)."""

from typing import Any

from tests.gateway.world import World


async def ask(world: World, video_id: str, what: str, body: Any = None, **kwargs: Any) -> Any:
    return await world.call("POST", f"/v1/videos/{video_id}/{what}", body, **kwargs)


async def test_a_cancelled_video_is_failed_and_can_be_retried(world: World) -> None:
    video_id = await world.uploaded()
    response, body = await ask(world, video_id, "cancel")
    assert (response.status, body["state"]) == (200, "FAILED")
    response, body = await ask(world, video_id, "retry")
    assert (response.status, body["state"]) == (200, "PROCESSING")


async def test_a_command_that_does_not_fit_is_409_with_the_folds_own_words(world: World) -> None:
    video_id = await world.uploaded()
    response, problem = await ask(world, video_id, "retry")
    assert (response.status, problem["code"]) == (409, "refused")
    assert problem["reason"] == "state_conflict"
    assert "UPLOADED" in problem["detail"]


async def test_a_deleted_video_is_gone(world: World) -> None:
    video_id = await world.ready()
    path = f"/v1/videos/{video_id}"
    response, body = await world.call("DELETE", path)
    assert (response.status, body["state"]) == (200, "DELETED")
    response, _ = await world.call("DELETE", path)
    assert response.status == 410
    for end in ("", "/playback", "/manifest"):
        response, _ = await world.call("GET", path + end, headers=world.bearer("ben"))
        assert response.status == 410, end


async def test_a_moderator_blocks_and_restores_and_nobody_else(world: World) -> None:
    video_id = await world.ready()
    moderator = world.bearer("mo", "moderator")
    reason = {"reason": "copyright"}
    for headers in (world.bearer(), world.bearer("op", "operator")):
        response, _ = await ask(world, video_id, "block", reason, headers=headers)
        assert response.status == 403
    response, body = await ask(world, video_id, "block", reason, headers=moderator)
    assert (response.status, body["state"]) == (200, "BLOCKED")
    path = f"/v1/videos/{video_id}/playback"
    response, problem = await world.call("GET", path, headers=world.bearer("ben"))
    assert (response.status, problem["code"]) == (403, "blocked")
    response, body = await ask(world, video_id, "restore", reason, headers=moderator)
    assert (response.status, body["state"]) == (200, "READY")
    response, _ = await world.call("GET", path, headers=world.bearer("ben"))
    assert response.status == 200


async def test_another_users_video_is_not_mine_to_command(world: World) -> None:
    video_id = await world.uploaded()
    for what in ("cancel", "retry"):
        response, _ = await ask(world, video_id, what, headers=world.bearer("ben"))
        assert response.status == 403
    response, _ = await world.call("DELETE", f"/v1/videos/{video_id}", headers=world.bearer("ben"))
    assert response.status == 403
    assert world.log.events("commands") == []


async def test_a_command_that_nobody_answers_in_time_is_on_the_log_and_202(world: World) -> None:
    video_id = await world.uploaded()
    world.log.held = True
    response, body = await ask(world, video_id, "cancel")
    assert (response.status, body["state"]) == (202, "PENDING")
    assert response.headers["Millrace-Position"].startswith("commands:")
    world.log.held = False
    world.log.run()
    _, video = await world.call("GET", f"/v1/videos/{video_id}")
    assert video["state"] == "FAILED"


async def test_a_log_that_is_away_is_503(world: World) -> None:
    video_id = await world.uploaded()
    world.log.busy = True
    response, problem = await ask(world, video_id, "cancel")
    assert (response.status, problem["retry"]) == (503, "later")
