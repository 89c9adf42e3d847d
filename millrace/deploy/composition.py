"""Puts an installation together: engine, tables, objects, door, gateway, over one data folder.

The one place where implementations are chosen and handed to what knows them as ports.
"""

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web

from millrace.deploy.clock import now_ms
from millrace.deploy.composition_works import limited, media_limits
from millrace.deploy.crashing import Killer
from millrace.deploy.fsck import fsck
from millrace.deploy.health import Counted, process_registry
from millrace.deploy.keys import Keys, keys_place, open_keys, write_tokens
from millrace.deploy.rebuild import projects_of, rebuild
from millrace.deploy.serving import address, listen
from millrace.deploy.settings import Settings
from millrace.deploy.single_flight import SingleFlight
from millrace.gateway.app import build_app
from millrace.gateway.auth import Tokens
from millrace.gateway.context import Operations, Outcome, Ports
from millrace.gateway.settings import Settings as GatewaySettings
from millrace.processors.media.probe import Limits
from millrace.schemas.topics import OBJECT_NOTIFICATIONS, UPLOADS
from millrace.sinks.directory_objects import SWEEP_UPLOAD_AGE_MS, DirectoryObjects
from millrace.sinks.door import DoorThread, build_door
from millrace.sinks.inprocess_cache import InProcessCache
from millrace.sinks.ports import StoreBusy
from millrace.sinks.signing import Signer, SigningKeys
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.sinks.tables import TABLES
from millrace.streams.declarations import Project, WorkPorts
from millrace.streams.describe import describe_mermaid, describe_text
from millrace.streams.embedded.core import Core, Options
from millrace.streams.embedded.engine import Engine
from millrace.streams.topologies import TOPOLOGIES

TABLES_FILE = "tables.sqlite"
OBJECTS_DIR = "objects"
NOTIFY_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class WorkerPorts:
    """Makes a work's ports in a worker process; plain values, so that it travels there.

    Compared by identity: a worker is given one, and opens its stores once for it.
    """

    data_dir: Path
    objects_url: str
    keys: SigningKeys
    limits: Limits
    kill_at: str

    def __call__(self, scratch: Path, worker: str) -> WorkPorts:
        objects, tables, killer = opened(self)
        return WorkPorts(objects, tables, scratch, worker, self.limits, killer.in_worker)


@cache
def opened(given: WorkerPorts) -> tuple[DirectoryObjects, SqliteTables, Killer]:
    """The stores of this process, opened once and kept."""
    objects = open_objects(given.data_dir, given.objects_url, given.keys)
    tables = SqliteTables(given.data_dir / TABLES_FILE, now_ms)
    tables.create(TABLES)
    return objects, tables, Killer(given.kill_at, given.data_dir)


def open_objects(
    data_dir: Path,
    url: str,
    keys: SigningKeys,
    notify: Callable[[dict[str, Any]], None] | None = None,
    upload_age_ms_max: int = SWEEP_UPLOAD_AGE_MS,
) -> DirectoryObjects:
    signer = Signer(keys, url, now_ms)
    return DirectoryObjects(data_dir / OBJECTS_DIR, signer, now_ms, notify, upload_age_ms_max)


class Installation:
    """Everything of one `millrace up`; open in the loop that serves it, closed by `close`.

    Raises DirectoryLocked where another server has the folder, OSError where a port is taken.
    """

    def __init__(self, settings: Settings, crashed: Callable[[BaseException], None]) -> None:
        self.settings = settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.listening = listen(settings.host, settings.port)
        port = self.listening.getsockname()[1]
        self.objects_listening = listen_beside(settings.host, settings.objects_port, port)
        self.url = settings.public_url or address(self.listening)
        self.objects_url = settings.objects_url or address(self.objects_listening)
        self.keys: Keys = open_keys(keys_place(settings), rotate=settings.rotate_keys)
        self.killer = Killer(settings.kill_at, settings.data_dir)
        self.tables = SqliteTables(settings.data_dir / TABLES_FILE, now_ms)
        self.engine = self.open_engine(crashed)
        self.tables.create(TABLES)
        self.objects = open_objects(
            settings.data_dir,
            self.objects_url,
            self.keys.objects,
            self.notify,
            settings.upload_expires_s * 1_000 + SWEEP_UPLOAD_AGE_MS,
        )
        door = build_door(self.objects, Signer(self.keys.objects, self.objects_url, now_ms))
        self.door = DoorThread(door, self.objects_listening)
        self.loop = asyncio.get_running_loop()
        self.rebuilds, self.checks = SingleFlight(), SingleFlight()
        # What was opened or started so far, ended in the opposite order.
        self.closing = ExitStack()
        self.closing.callback(self.tables.close)
        self.closing.callback(self.objects.close)

    def open_engine(self, crashed: Callable[[BaseException], None]) -> Engine:
        settings = self.settings
        limits = media_limits(settings)
        ports = WorkerPorts(
            settings.data_dir, self.objects_url, self.keys.objects, limits, settings.kill_at
        )
        return Engine(
            settings.data_dir,
            limited(TOPOLOGIES, settings.worker_memory_bytes_max),
            tables=self.tables,
            ports=ports,
            workers=settings.workers or os.cpu_count() or 1,
            crashed=crashed,
            options=Options(partitions=settings.partitions, at=self.killer.in_server),
        )

    def app(self) -> web.Application:
        settings, keys = self.settings, self.keys
        self.partitions = self.engine.log.partitions(UPLOADS.name)
        registry = process_registry()
        registry.register(Counted(self.engine.metrics))
        ports = Ports(
            log=self.engine.log,
            tables=self.tables,
            objects=self.objects,
            cache=InProcessCache(time.monotonic),
            operations=Operations(self.rebuild, self.fsck, describe, self.ready),
            now_ms=now_ms,
            registry=registry,
        )
        told = GatewaySettings(
            token_keys=keys.token,
            pseudonym_key=keys.pseudonym,
            media_origins=(self.objects_url,),
            partitions=self.partitions,
            upload_size_bytes_max=settings.upload_size_bytes_max,
            upload_expires_ms=settings.upload_expires_s * 1_000,
            trusted_proxies=settings.trusted_proxies,
        )
        write_tokens(settings.data_dir, Tokens(told.token_keys, told.pseudonym_key, now_ms))
        return build_app(ports, told)

    async def start(self) -> None:
        """Engine and door run; what the store had to tell when it was killed is told.

        Raises StoreBusy, OSError; `close` ends what had begun.
        """
        self.engine.start()
        self.closing.callback(self.engine.close)
        await asyncio.to_thread(self.objects.sweep)
        self.door.start()
        self.closing.callback(self.door.stop)
        await asyncio.to_thread(self.objects.deliver_notifications)

    def close(self) -> None:
        self.closing.close()

    def notify(self, event: dict[str, Any]) -> None:
        """The store's word, onto the log, from the store's thread. Raises StoreBusy."""
        key = event["Records"][0]["s3"]["object"]["key"].encode()
        append = self.engine.log.append_bytes(
            OBJECT_NOTIFICATIONS.name, key, json.dumps(event).encode()
        )
        future = asyncio.run_coroutine_threadsafe(append, self.loop)
        try:
            future.result(NOTIFY_WITHIN_S)
        except TimeoutError as problem:
            raise StoreBusy("the log took no notification in time") from problem

    async def ready(self) -> str:
        """Words for what is not ready; empty where all is."""
        failure = self.engine.failure
        if failure is not None:
            return f"the engine stopped: {failure!r}"
        return "; ".join(stopped(self.engine.core))

    async def rebuild(self, name: str, then: Outcome) -> Mapping[str, Any]:
        projects = projects_of(TOPOLOGIES, name)
        if then != "verify":
            raise ValueError("one machine's rows are not switched: its tables file is made again")
        log, tables = self.engine.log, self.tables
        fresh = (fresh_tables, self.partitions, self.caught_up)
        return await self.rebuilds.run(name, lambda: rebuild(projects, log, tables, *fresh))

    async def caught_up(self, project: Project, positions: Mapping[int, int]) -> bool:
        """Whether the projections have taken all that is on the log."""
        return self.engine.metrics()["millrace_projection_lag"] == 0

    async def fsck(self) -> Mapping[str, Any]:
        log = self.engine.log
        return await self.checks.run("all", lambda: fsck(log, self.objects, self.partitions))


def stopped(core: Core) -> Iterable[str]:
    """Words for each topology that stands still: too many keys parked, or a record to wait for."""
    for name in sorted(core.metrics.stopped):
        yield f"the topology {name} stopped: too many of its keys are parked"
    for task in core.tasks:
        if task.stopped is not None:
            yield f"the topology {task.topology.name} stopped at {task.stopped}"


def fresh_tables() -> SqliteTables:
    return SqliteTables(None, now_ms)


def describe() -> Mapping[str, Any]:
    return {"text": describe_text(TOPOLOGIES), "mermaid": describe_mermaid(TOPOLOGIES)}


def listen_beside(host: str, port: int, gateway_port: int) -> socket.socket:
    """The door's socket: the port that is set, else the one after the gateway's, else any."""
    if port:
        return listen(host, port)
    try:
        return listen(host, gateway_port + 1)
    except (OSError, OverflowError):
        return listen(host, 0)
