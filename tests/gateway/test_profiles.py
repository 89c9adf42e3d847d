"""Profiles over HTTP (API-7)."""

from tests.gateway.world import World


async def test_a_profile_is_seen_by_its_owner_at_once_and_by_everybody(world: World) -> None:
    world.log.lag_s = 0.05
    body = {"name": "Ann", "avatarUrl": "https://example.org/ann.png"}
    response, profile = await world.call("PUT", "/v1/me/profile", body)
    assert (response.status, profile["name"]) == (200, "Ann")
    _, own = await world.call("GET", "/v1/me/profile")
    assert (own["name"], own["roles"]) == ("Ann", ["creator", "viewer"])
    path = f"/v1/creators/{own['creatorId']}"
    _, seen = await world.call("GET", path, headers={"Accept": "*/*"})
    assert (seen["name"], seen["avatarUrl"]) == ("Ann", body["avatarUrl"])
    assert "roles" not in seen


async def test_nobody_has_no_profile_and_an_unknown_creator_is_404(world: World) -> None:
    nobody = {"Accept": "*/*"}
    response, _ = await world.call("GET", "/v1/me/profile", headers=nobody)
    assert response.status == 401
    response, _ = await world.call("GET", f"/v1/creators/{'0' * 32}", headers=nobody)
    assert response.status == 404
    await world.ready()
    creator = world.tokens.pseudonym("ann")
    response, seen = await world.call("GET", f"/v1/creators/{creator}", headers=nobody)
    assert (response.status, seen["name"]) == (200, "")


async def test_an_avatar_is_a_web_address_or_none(world: World) -> None:
    for address in ("javascript:alert(1)", "data:x", "https://a b", "file:///etc/passwd"):
        body = {"name": "Ann", "avatarUrl": address}
        response, _ = await world.call("PUT", "/v1/me/profile", body)
        assert response.status == 422, address
