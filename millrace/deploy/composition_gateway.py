"""Puts one gateway of a cluster together, and the edge: over Kafka, Cassandra, S3 and Redis.

Neither needs any of the four to start (OPS-7), and any number of each may run. The one place where
a gateway's implementations are chosen.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from millrace.deploy.clock import now_ms
from millrace.deploy.fsck import fsck
from millrace.deploy.health import add_health, process_registry
from millrace.deploy.keys import read_keys
from millrace.deploy.places import kafka_place
from millrace.deploy.rebuild_cluster import Rebuilder
from millrace.deploy.settings import SettingError, Settings
from millrace.deploy.single_flight import SingleFlight
from millrace.deploy.stores import open_objects, open_tables
from millrace.gateway.app import build_app
from millrace.gateway.context import Operations, Outcome, Ports
from millrace.gateway.settings import Settings as GatewaySettings
from millrace.sinks.door import THREADS_MAX, build_edge
from millrace.sinks.redis_cache import RedisCache
from millrace.sinks.signing import Signer
from millrace.streams.describe import describe_mermaid, describe_text
from millrace.streams.kafka.log import KafkaLog
from millrace.streams.topologies import TOPOLOGIES


class GatewayProcess:
    """One `millrace gateway`; made in the loop that serves it, ended by `close`.

    Raises NoKeys, and SettingError where it is not told where the edge is.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.objects_url:
            raise SettingError("MILLRACE_OBJECTS_URL must say where the edge is")
        self.settings = settings
        self.keys = read_keys(settings)
        self.cluster = kafka_place(settings)
        self.log = KafkaLog(self.cluster)
        self.rows = open_tables(settings)
        self.objects = open_objects(settings, self.keys.objects)
        self.cache = RedisCache(settings.redis, settings.redis_prefix)
        self.rebuilder = Rebuilder(self.cluster, self.log, self.rows, TOPOLOGIES)
        self.rebuilds, self.checks = SingleFlight(), SingleFlight()

    def app(self) -> web.Application:
        settings = self.settings
        ports = Ports(
            log=self.log,
            tables=self.rows.tables,
            objects=self.objects,
            cache=self.cache,
            operations=Operations(self.rebuild, self.fsck, describe, ready),
            now_ms=now_ms,
            registry=process_registry(),
        )
        told = GatewaySettings(
            token_keys=self.keys.token,
            pseudonym_key=self.keys.pseudonym,
            media_origins=(
                origin(settings.objects_url),
                origin(settings.s3_public_url or settings.s3_endpoint),
            ),
            partitions=settings.partitions,
            upload_size_bytes_max=settings.upload_size_bytes_max,
            upload_expires_ms=settings.upload_expires_s * 1_000,
            trusted_proxies=settings.trusted_proxies,
        )
        return build_app(ports, told)

    async def rebuild(self, name: str, then: Outcome) -> Mapping[str, Any]:
        return await self.rebuilds.run(f"{name} {then}", lambda: self.rebuilder.run(name, then))

    async def fsck(self) -> Mapping[str, Any]:
        log, objects, partitions = self.log, self.objects, self.cluster.partitions
        return await self.checks.run("all", lambda: fsck(log, objects, partitions))

    async def close(self) -> None:
        """Returns when all appends are answered."""
        await self.log.close()
        await self.cache.close()
        await asyncio.to_thread(self.rows.close)
        self.objects.close()


async def ready() -> str:
    """Whether the log is followed the gateway knows itself; nothing else keeps it from serving."""
    return ""


def describe() -> Mapping[str, Any]:
    return {"text": describe_text(TOPOLOGIES), "mermaid": describe_mermaid(TOPOLOGIES)}


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def edge_app(settings: Settings) -> web.Application:
    """Reads that a token opens (PLY-3). Made in the loop that serves it. Raises NoKeys."""
    keys = read_keys(settings)
    objects = open_objects(settings, keys.objects)
    threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="edge")
    asyncio.get_running_loop().set_default_executor(threads)
    app = build_edge(objects, Signer(keys.objects, settings.objects_url, now_ms))
    add_health(app, process_registry(), lambda: "")

    async def close(_app: web.Application) -> None:
        objects.close()

    app.on_cleanup.append(close)
    return app
