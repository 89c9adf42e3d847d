"""Bad luck and bad input get the right status and problem details, never a trace (API-1, OPS-8)."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio

from millrace.gateway.errors import KINDS
from millrace.gateway.settings import Rate
from tests.gateway.world import KEY, World, build_world, close

UPLOAD = {"title": "A", "sizeBytes": 7}


def check_problem(body: Any, status: int) -> None:
    assert body["status"] == status
    assert body["code"] in {kind.code for kind in KINDS}
    assert body["type"] == f"urn:millrace:problem:{body['code']}"
    assert body["title"]
    assert body["detail"]
    assert body["requestId"]
    assert body["retry"] in {"no", "changed", "later"}
    assert "Traceback" not in json.dumps(body)


async def post(world: World, data: bytes, **headers: str) -> tuple[Any, Any]:
    async with world.client.post(
        "/v1/uploads",
        data=BytesIO(data),
        headers={**world.bearer(), "Content-Type": "application/json", **headers},
    ) as response:
        return response, await response.json(content_type=None)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"title": "\xff", "sizeBytes": 7}', 400),
        (b'{"title": "\\ud800", "sizeBytes": 7}', 400),
        (b"null", 422),
        (b"[]", 422),
        (b"[" * 100_000, 422),
        (b'{"title": "A"}', 422),
        (b'{"title": "A", "sizeBytes": -1}', 422),
        (b'{"title": "A", "sizeBytes": 1e400}', 422),
        (b'{"title": "A", "sizeBytes": "7"}', 422),
        (b'{"title": "A", "sizeBytes": 99999999999999999999999999}', 422),
        (b'{"title": "", "sizeBytes": 7}', 422),
        (b'{"title": "a\\u0000b", "sizeBytes": 7}', 422),
        (b'{"title": "a\\n", "sizeBytes": 7}', 422),
        (b'{"title": "A", "sizeBytes": 7, "extra": 1}', 422),
        (b'{"title": "A", "sizeBytes": 7, "visibility": "secret"}', 422),
        (b'{"title": "A", "sizeBytes": 7, "sha256": "xyz"}', 422),
    ],
)
async def test_a_body_that_is_no_json_is_400_and_one_that_makes_no_sense_422(
    world: World, data: bytes, status: int
) -> None:
    response, body = await post(world, data)
    assert response.status == status, body
    check_problem(body, status)
    assert response.headers["X-Request-Id"] == body["requestId"]


async def test_a_huge_body_is_413_and_another_type_415(world: World) -> None:
    response, body = await post(world, b" " * ((1 << 20) + 1))
    assert response.status == 413
    check_problem(body, 413)
    response, body = await post(world, json.dumps(UPLOAD).encode(), **{"Content-Type": "text/xml"})
    assert response.status == 415
    check_problem(body, 415)


async def test_a_compressed_bomb_is_413_and_broken_compression_400(world: World) -> None:
    bomb = gzip.compress(b" " * (50 << 20))
    response, body = await post(world, bomb, **{"Content-Encoding": "gzip"})
    assert response.status == 413
    check_problem(body, 413)
    response, body = await post(world, b"no gzip", **{"Content-Encoding": "gzip"})
    assert response.status == 400
    check_problem(body, 400)


def token(**claims: Any) -> str:
    whole = {"sub": "ann", "roles": ["creator"], "exp": 1 << 40, **claims}
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, KEY, algorithm="HS256")


async def test_every_bad_token_is_401(world: World) -> None:
    good = token()
    bad = (
        "",
        "Bearer",
        "Basic YTpi",
        f"Bearer {good[:-2]}",
        f"Bearer {good}x",
        "Bearer a.b.c",
        f"Bearer {jwt.encode({'sub': 'a', 'roles': [], 'exp': 1 << 40}, b'x' * 32)}",
        f"Bearer {jwt.encode({'sub': 'a', 'roles': [], 'exp': 1 << 40}, '', algorithm='none')}",
        f"Bearer {token(exp=1000)}",
        f"Bearer {token(exp=None)}",
        f"Bearer {token(exp='soon')}",
        f"Bearer {token(exp=1e300)}x",
        f"Bearer {token(sub=None)}",
        f"Bearer {token(sub='')}",
        f"Bearer {token(sub='x' * 300)}",
        f"Bearer {token(roles='creator')}",
        f"Bearer {token(roles=[1])}",
        f"Bearer {token(aud='else')}",
    )
    for authorization in bad:
        response, body = await world.call(
            "POST", "/v1/uploads", UPLOAD, headers={"Authorization": authorization}
        )
        assert response.status == 401, authorization
        check_problem(body, 401)
        assert response.headers["WWW-Authenticate"] == "Bearer"
    response, _ = await world.call(
        "POST", "/v1/uploads", UPLOAD, headers={"Authorization": f"Bearer {good}"}
    )
    assert response.status == 201


async def test_a_bad_token_is_401_where_none_is_needed_too(world: World) -> None:
    headers = {"Authorization": "Bearer a.b.c"}
    response, _ = await world.call("GET", "/v1/videos", headers=headers)
    assert response.status == 401


async def test_an_unknown_address_is_404_and_another_method_405(world: World) -> None:
    for path in ("/v2", "/v1/../../etc/passwd", "/v1/uploads/", "/web/../app.py", "/%2e%2e/x"):
        response, body = await world.call("GET", path)
        assert response.status == 404, path
        check_problem(body, 404)
    response, body = await world.call("PUT", "/v1/videos")
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"
    check_problem(body, 405)


async def test_a_request_that_is_no_http_is_400_without_a_trace(world: World) -> None:
    port = world.client.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x00\x01 garbage\r\n\r\n")
        answer = await asyncio.to_thread(connection.recv, 65536)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"Traceback" not in answer


async def test_a_bug_is_500_with_a_request_id_and_its_trace_stays_in_the_process(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    # A row that no projection writes: the handler trips over it.
    world.log.tables.upsert = None  # type: ignore[method-assign, assignment]
    response, body = await world.call("POST", "/v1/uploads", UPLOAD)
    assert response.status == 500
    check_problem(body, 500)
    assert "NoneType" not in json.dumps(body)
    assert body["requestId"] in caplog.text
    assert "NoneType" in caplog.text


@pytest_asyncio.fixture
async def tight_world(tmp_path: Path) -> AsyncIterator[World]:
    rates = {"read": Rate(0.5, 2), "expensive": Rate(100, 100)}
    found = await build_world(tmp_path, rates=rates, in_flight_max=0)
    yield found
    await close(found)


async def test_who_asks_too_often_is_429_and_told_when_to_come_back(tight_world: World) -> None:
    for _ in range(2):
        response, _ = await tight_world.call("GET", "/v1/videos")
        assert response.status == 200
    response, body = await tight_world.call("GET", "/v1/videos")
    assert response.status == 429
    check_problem(body, 429)
    assert 1 <= int(response.headers["Retry-After"]) <= 2
    response, _ = await tight_world.call("GET", "/v1/videos", headers=tight_world.bearer("ben"))
    assert response.status == 200


async def test_what_is_expensive_is_shed_first(tight_world: World) -> None:
    response, body = await tight_world.call("POST", "/v1/uploads", UPLOAD)
    assert (response.status, body["code"]) == (503, "overloaded")
    assert int(response.headers["Retry-After"]) >= 1
    response, _ = await tight_world.call("GET", f"/v1/videos/{'0' * 32}/playback")
    assert response.status == 404


@pytest.mark.parametrize(("trusted", "told_apart"), [(0, False), (1, True)])
async def test_addresses_behind_a_proxy_are_told_apart_only_where_it_is_trusted(
    tmp_path: Path, trusted: int, told_apart: bool
) -> None:
    world = await build_world(tmp_path, rates={"read": Rate(0.01, 1)}, trusted_proxies=trusted)
    try:
        seen = []
        # What a client wrote itself stands before what the proxy adds, and changes nothing.
        for forwarded in ("198.51.100.1", "198.51.100.2", "203.0.113.9, 198.51.100.2"):
            headers = {"X-Forwarded-For": forwarded}
            response, _ = await world.call("GET", "/v1/videos", headers=headers)
            seen.append(response.status)
        assert seen == [200, 200 if told_apart else 429, 429]
    finally:
        await close(world)
