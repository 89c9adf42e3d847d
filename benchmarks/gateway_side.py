"""One server of benchmarks/gateway.py, in a process of its own: prints its port and serves.

`bare` is aiohttp and nothing else. `kafka` is the gateway as a cluster has it, over KafkaLog and
the Redis that its rate limits are kept in; the one video that is reported about is in SQLite, as
rows are read once in seconds. It must never leave out what a request of a real gateway passes.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from millrace.deploy.clock import now_ms
from millrace.deploy.collecting import collect_rarely
from millrace.gateway.app import build_app
from millrace.gateway.context import Operations, Outcome, Ports
from millrace.gateway.settings import Settings
from millrace.schemas.events import VideoDocument
from millrace.sinks.directory_objects import DirectoryObjects
from millrace.sinks.ports import Row, Version
from millrace.sinks.redis_cache import RedisCache
from millrace.sinks.signing import Signer, SigningKeys
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.sinks.tables import TABLES, VIDEOS
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.log import KafkaLog

KEY = b"a key of benchmarks, 32 bytes..."
VIDEO_ID = "a" * 32
ORIGIN = "http://127.0.0.1"


async def accept(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=202)


@asynccontextmanager
async def bare() -> AsyncIterator[web.Application]:
    app = web.Application()
    app.router.add_post("/v1/playback-events", accept)
    yield app


@asynccontextmanager
async def kafka(bootstrap: str, prefix: str, redis: str) -> AsyncIterator[web.Application]:
    collect_rarely()
    cluster = Cluster(bootstrap, prefix)
    log, cache = KafkaLog(cluster), RedisCache(redis, prefix)
    with TemporaryDirectory() as folder:
        tables = SqliteTables(None, now_ms)
        tables.create(TABLES)
        document = published().as_record()
        tables.upsert(VIDEOS, [Row({"video_id": VIDEO_ID, "document": document}, Version(0, 0))])
        signer = Signer(SigningKeys("1", {"1": KEY}), ORIGIN, now_ms)
        objects = DirectoryObjects(Path(folder), signer, now_ms)
        operations = Operations(rebuild, nothing, dict, ready)
        ports = Ports(log, tables, objects, cache, operations, now_ms, CollectorRegistry())
        yield build_app(ports, Settings((KEY,), KEY, cluster.partitions, (ORIGIN,)))
        await log.close()
        await cache.close()
        tables.close()


def published() -> VideoDocument:
    """A video that everybody may watch; what else is known of it is blank."""
    blanks: dict[Any, Any] = {str: "", int: 0, bool: False}
    known = {"video_id": VIDEO_ID, "visibility": "public", "state": "READY", "duration_ms": 60_000}
    values: dict[str, Any] = {one.name: blanks.get(one.type, ()) for one in fields(VideoDocument)}
    return VideoDocument(**(values | known))


async def rebuild(_name: str, _then: Outcome) -> Mapping[str, Any]:
    return {}


async def nothing() -> Mapping[str, Any]:
    return {}


async def ready() -> str:
    return ""


async def serve(which: str, *where: str) -> None:
    async with kafka(*where) if which == "kafka" else bare() as app:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sys.stdout.write(f"{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        # Until whoever started this closes its end.
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:]))
