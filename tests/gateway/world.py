"""A gateway over real tables, a real object store and its door, and a log in memory."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from millrace.gateway.app import build_app
from millrace.gateway.auth import Tokens
from millrace.gateway.context import GATEWAY, Gateway, Operations, Outcome, Ports
from millrace.gateway.settings import Settings
from millrace.schemas.events import SourceProbed, VideoPlayable, VideoProcessing
from millrace.sinks.directory_objects import DirectoryObjects
from millrace.sinks.door import DoorThread, build_door
from millrace.sinks.inprocess_cache import InProcessCache
from millrace.sinks.ports import Key, ObjectStat, Page, Row, StoreBusy, Table
from millrace.sinks.signing import Signer, SigningKeys
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.sinks.tables import TABLES
from tests.gateway.memory_log import PARTITIONS, MemoryLog

KEY = b"k" * 32
PART_BYTES = 5 << 20
# How long a gateway waits for a command's answer or a projection.
WAIT_S = 0.3
START_MS = 1_800_000_000_000


class Clock:
    """A wall clock that tests move."""

    def __init__(self) -> None:
        self.at_ms = START_MS

    def __call__(self) -> int:
        return self.at_ms


@dataclass(slots=True)
class World:
    """Everything a test of the gateway touches."""

    client: "TestClient[Any, Any]"
    log: MemoryLog
    tables: "GatewayTables"
    objects: "GatewayObjects"
    tokens: Tokens
    clock: Clock
    door: DoorThread
    asked: list[str]
    origin: str

    @property
    def gateway(self) -> Gateway:
        app = self.client.app
        assert app is not None
        found: Gateway = app[GATEWAY]
        return found

    async def another_gateway(self) -> "TestClient[Any, Any]":
        """A second process over the same log, tables and objects."""
        return await start_gateway(
            self.log, self.tables, self.objects, self.clock, self.origin, self.asked
        )

    def bearer(self, subject: str = "ann", *roles: str) -> dict[str, str]:
        token = self.tokens.mint(subject, roles or ("creator", "viewer"), 3600)
        return {"Authorization": f"Bearer {token}"}

    async def call(
        self, method: str, path: str, body: Any = None, **kwargs: Any
    ) -> tuple[ClientResponse, Any]:
        """The answer and its JSON; as the creator ann unless headers say otherwise."""
        headers = kwargs.pop("headers", None) or self.bearer()
        async with self.client.request(
            method, path, json=body, headers=headers, allow_redirects=False, **kwargs
        ) as response:
            is_json = "json" in response.content_type
            return response, await response.json(content_type=None) if is_json else None

    async def upload(self, data: bytes = b"x" * 100, **fields: Any) -> dict[str, Any]:
        """An upload whose parts are all in the store, not yet completed."""
        body = {"title": "A clip", "sizeBytes": len(data), "visibility": "public", **fields}
        response, session = await self.call("POST", "/v1/uploads", body)
        assert response.status == 201, session
        session["etags"] = [
            {"number": part["number"], "etag": await self.put(session, part, data)}
            for part in session["partUrls"]
        ]
        return dict(session)

    async def put(self, session: Mapping[str, Any], part: Mapping[str, Any], data: bytes) -> str:
        """Sends one part to the door, as a client does."""
        size = session["partSizeBytes"]
        piece = data[(part["number"] - 1) * size : part["number"] * size]
        async with self.client.session.put(part["url"], data=BytesIO(piece)) as response:
            assert response.status == 200, await response.text()
            return response.headers["ETag"].strip('"')

    def keep(self, session: Mapping[str, Any], number: int, data: bytes) -> str:
        """Puts a part past the door, as a store would that believes every client; its ETag."""
        key = f"originals/{session['videoId']}/{session['uploadSessionId']}"
        (started,) = (e for e in self.log.events("uploads") if e.NAME == "UploadStarted")
        writer = self.objects.open_part(key, started.multipart_id, number, with_sha256=False)
        writer.write(data)
        return self.objects.keep_part(key, started.multipart_id, number, writer).etag

    async def complete(self, session: Mapping[str, Any], **kwargs: Any) -> tuple[Any, Any]:
        path = f"/v1/uploads/{session['uploadSessionId']}/complete"
        return await self.call("POST", path, {"parts": session["etags"]}, **kwargs)

    async def uploaded(self, **fields: Any) -> str:
        """The id of a video whose file has arrived."""
        session = await self.upload(**fields)
        response, body = await self.complete(session)
        assert response.status == 202, body
        return str(session["videoId"])

    async def ready(self, duration_ms: int = 60_000, **fields: Any) -> str:
        """The id of a video that plays, as the works would have said it."""
        video_id = await self.uploaded(**fields)
        upload_id = self.log.events("uploads")[0].upload_id
        probed = SourceProbed(
            video_id=video_id,
            upload_id=upload_id,
            epoch=1,
            attempt=1,
            sha256="0" * 64,
            container="mov",
            duration_ms=duration_ms,
            bitrate_bps=1,
            audio=(),
            toolchain="t",
        )
        await self.log.append("sources", probed)
        key = f"videos/{video_id}/master.m3u8"
        await self.log.append("publications", VideoProcessing(video_id, 1))
        await self.log.append("publications", VideoPlayable(video_id, 1, key))
        return video_id


class GatewayObjects(DirectoryObjects):
    """A store that can take its time: `joined` runs once an upload's parts have become one."""

    joined: Callable[[], None] | None = None

    def complete(self, key: str, multipart_id: str, parts: Mapping[int, str]) -> ObjectStat:
        stat = super().complete(key, multipart_id, parts)
        if self.joined is not None:
            self.joined()
        return stat


class GatewayTables(SqliteTables):
    """Tables whose reads can be refused, as a database's that is away."""

    away = False

    def get(self, table: Table, partition: Key, clustering: Key = ()) -> Row | None:
        self.check()
        return super().get(table, partition, clustering)

    def page(self, table: Table, partition: Key, **kwargs: Any) -> Page:
        self.check()
        return super().page(table, partition, **kwargs)

    def forget(self, table: Table) -> None:
        """All rows of the table are gone, as if they had not been written yet."""
        with self._database.writing() as connection:
            connection.execute(f'DELETE FROM "{table.name}"')

    def check(self) -> None:
        if self.away:
            raise StoreBusy("the tables are away")


def free_socket() -> socket.socket:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


async def build_world(folder: Path, **settings: Any) -> World:
    """A running gateway over a world of its own; end it with `close`."""
    clock = Clock()
    tables = GatewayTables(None, clock)
    tables.create(TABLES)
    listening = free_socket()
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    signer = Signer(SigningKeys("one", {"one": KEY}), origin, clock)
    objects = GatewayObjects(folder / "objects", signer, clock)
    door = DoorThread(build_door(objects, signer), listening)
    await asyncio.to_thread(door.start)
    log = MemoryLog(tables, clock)
    asked: list[str] = []
    client = await start_gateway(log, tables, objects, clock, origin, asked, **settings)
    tokens = Tokens((KEY,), KEY, clock)
    return World(client, log, tables, objects, tokens, clock, door, asked, origin)


async def start_gateway(
    log: MemoryLog,
    tables: SqliteTables,
    objects: DirectoryObjects,
    clock: Clock,
    origin: str,
    asked: list[str],
    **settings: Any,
) -> "TestClient[Any, Any]":

    async def rebuild(projection: str, then: Outcome) -> Mapping[str, Any]:
        if projection != "all":
            raise KeyError(projection)
        if then != "verify":
            raise ValueError("the rows of one machine are not switched")
        asked.append(projection)
        return {"projections": [], "equal": True}

    async def fsck() -> Mapping[str, Any]:
        return {"missing": []}

    async def ready() -> str:
        return "the log is away" if log.busy else ""

    app = build_app(
        Ports(
            log=log,
            tables=tables,
            objects=objects,
            cache=InProcessCache(asyncio.get_running_loop().time),
            operations=Operations(rebuild, fsck, lambda: {"topologies": []}, ready),
            now_ms=clock,
            registry=CollectorRegistry(),
        ),
        Settings(
            **{
                "token_keys": (KEY,),
                "pseudonym_key": KEY,
                "partitions": PARTITIONS,
                "media_origins": (origin,),
                "part_size_bytes": PART_BYTES,
                "answer_wait_s": WAIT_S,
                "projection_wait_s": WAIT_S,
                **settings,
            }
        ),
    )
    client = TestClient(TestServer(app))
    await client.start_server()
    return client


async def close(world: World) -> None:
    await world.client.close()
    await asyncio.to_thread(world.door.stop)
    world.objects.close()
    world.tables.close()
