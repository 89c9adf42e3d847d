"""Puts one worker process of a cluster together: a topology's folds and projections, or a lane.

One Faust app a process, so that a long encode stalls nobody's rebalance. The one place where a
worker's implementations are chosen.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from aiohttp import web

from millrace.deploy.clock import now_ms
from millrace.deploy.cluster_ports import ClusterPorts
from millrace.deploy.composition_works import limited
from millrace.deploy.crashing import Killer, aimed
from millrace.deploy.health import Counted, add_health, process_registry
from millrace.deploy.keys import read_keys
from millrace.deploy.places import kafka_place
from millrace.deploy.serving import address, listen
from millrace.deploy.settings import Settings, replaced
from millrace.deploy.stores import open_tables
from millrace.schemas import codec
from millrace.schemas.topics import TOPICS, Topic
from millrace.streams.declarations import Topology
from millrace.streams.kafka.app import App, Membership
from millrace.streams.kafka.fold_group import FoldGroup
from millrace.streams.kafka.fold_service import FoldService
from millrace.streams.kafka.fold_task import Settings as FoldSettings
from millrace.streams.kafka.work import WorkOptions
from millrace.streams.kafka.workers import Common, LaneWorker, TopologyWorker
from millrace.streams.topologies import TOPOLOGIES, lanes

SCRATCH = "scratch"


class Worker(Protocol):
    """What a process of either kind runs."""

    @property
    def app(self) -> App: ...
    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop`. Raises what ended it before."""
        ...

    def gauges(self) -> None:
        """Puts what can only be measured now into the metrics."""
        ...


@dataclass(slots=True)
class Recovering:
    """How far the states of each partition are read back, for readiness."""

    places: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def told(self, topology: str, partition: int, done: int, of: int) -> None:
        self.places[topology, partition] = done, of

    @property
    def words(self) -> str:
        done, of = (sum(one) for one in zip(*self.places.values(), strict=True))
        return f"recovering {done:,} of {of:,}".replace(",", " ")


class WorkerProcess:
    """One worker and its health address; made in the loop that runs it. KeyError: no such name."""

    def __init__(self, settings: Settings, name: str) -> None:
        settings = replaced(settings, kill_at=aimed(settings.kill_at, name))
        self.settings = settings
        self.name = name
        self.cluster = kafka_place(settings)
        self.killer = Killer(settings.kill_at, settings.data_dir, name)
        self.closing = ExitStack()
        self.groups: list[FoldGroup] = []
        self.recovering = Recovering()
        options = WorkOptions(at=self.killer.in_server)
        membership = Membership(settings.worker_name or None)
        self.common = Common(self.cluster, membership=membership, options=options)
        # Their names do not meet: a lane is a topic, and topics are plural nouns of requests.
        topologies = {one.name: one for one in TOPOLOGIES}
        lane = {one.name: one for one in lanes()}.get(name)
        self.worker: Worker = (
            self.topology_worker(topologies[name]) if lane is None else self.lane_worker(lane)
        )

    def topology_worker(self, topology: Topology) -> TopologyWorker:
        rows = open_tables(self.settings)
        self.closing.callback(rows.close)
        worker = TopologyWorker(self.common, topology, rows.tables)
        if topology.folds:
            self.groups.append(self.fold_group(topology))
            worker.app.serve(FoldService(self.groups[0], worker.app.fail))
        return worker

    def fold_group(self, topology: Topology) -> FoldGroup:
        told = FoldSettings(
            cluster=self.cluster,
            topics={topic.name: topic for topic in TOPICS},
            now_ms=now_ms,
            at=self.killer.in_server,
            decode=codec.decode,
            recovering=self.recovering.told,
        )
        return FoldGroup(told, topology, self.common.metrics, self.settings.worker_name)

    def lane_worker(self, lane: Topic) -> LaneWorker:
        settings = self.settings
        scratch = settings.data_dir / SCRATCH / f"{settings.worker_name or 'worker'}-{lane.name}"
        return LaneWorker(
            self.common,
            lane,
            limited(TOPOLOGIES, settings.worker_memory_bytes_max),
            ClusterPorts(settings, read_keys(settings).objects, lane.name),
            settings.workers or os.cpu_count() or 1,
            scratch,
        )

    def not_ready(self) -> str:
        """Words for what is not ready; empty where all is."""
        if any(not group.ready for group in self.groups):
            return self.recovering.words if self.recovering.places else "not in its group yet"
        return "" if self.worker.app.is_reading.is_set() else "it reads nothing yet"

    def measured(self) -> Mapping[str, float]:
        self.worker.gauges()
        for group in self.groups:
            group.gauges()
        return self.common.metrics.snapshot()

    async def run(self, stop: asyncio.Event, announce: Callable[[str], None]) -> None:
        """Works until `stop`; announces its health address once it is ready.

        Raises what ended it before, and OSError where its port is taken.
        """
        listening = listen(self.settings.host, self.settings.metrics_port)
        app = web.Application()
        registry = process_registry()
        registry.register(Counted(self.measured))
        add_health(app, registry, self.not_ready)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        telling = asyncio.create_task(self.tell(partial(announce, address(listening))))
        try:
            await self.worker.run(stop)
        finally:
            telling.cancel()
            await runner.cleanup()
            await asyncio.to_thread(self.closing.close)

    async def tell(self, announce: Callable[[], None]) -> None:
        """Announces once, when it is ready."""
        while self.not_ready():  # noqa: ASYNC110 - of a library that has no word for it
            await asyncio.sleep(0.05)
        announce()
