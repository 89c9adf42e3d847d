"""Puts a worker process together: one lane's works, or one topology's projections and folds.

Here alone steps meet the app, the pool, the outlet and the redrives. Nothing here may decide how a
step works.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from millrace.schemas.topics import REDRIVES, TOPICS, Topic
from millrace.sinks.ports import Tables
from millrace.streams.declarations import Topology, Work
from millrace.streams.kafka.app import App, Membership, Reading
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.outlet import Outlet
from millrace.streams.kafka.projections import Projection
from millrace.streams.kafka.requests import Request
from millrace.streams.kafka.step_redrives import Step, StepRedrives
from millrace.streams.kafka.work import Lane, WorkOptions
from millrace.streams.metrics import Metrics
from millrace.streams.projected import ROWS_MAX
from millrace.streams.working.worker import PortsFactory
from millrace.streams.working.workpool import Launch, WorkPool

# Few records ahead where each is seconds of work, many where each is a row.
LANE_READING = Reading(poll_records=50, open_max=100)
ROWS_READING = Reading(poll_records=ROWS_MAX, open_max=2 * ROWS_MAX)
# Parked keys are counted where folds are; here nothing parks.
PARKED_A_MINUTE_MAX = 100


@dataclass(frozen=True, slots=True)
class Common:
    """What every worker process is built with."""

    cluster: Cluster
    metrics: Metrics = field(default_factory=lambda: Metrics(PARKED_A_MINUTE_MAX))
    topics: tuple[Topic, ...] = TOPICS
    membership: Membership = field(default_factory=Membership)
    options: WorkOptions = field(default_factory=WorkOptions)

    @property
    def by_name(self) -> Mapping[str, Topic]:
        return {topic.name: topic for topic in self.topics}


class LaneWorker:
    """The works of one lane and their processes, from `run`'s beginning to its end."""

    def __init__(
        self,
        common: Common,
        lane: Topic,
        topologies: Sequence[Topology],
        ports: PortsFactory,
        processes: int,
        scratch: Path,
    ) -> None:
        self._common = common
        self._processes = processes
        self._scratch = scratch
        works = works_of(lane, topologies)
        assert works, f"no work takes from {lane.name}"
        self._launch = Launch(tuple(work for _, work in works), ports)
        self.app = App(common.cluster, lane.name, common.metrics, common.membership, LANE_READING)
        self._outlet = Outlet(common.cluster, common.by_name, common.metrics)
        self.lane = Lane(
            lane,
            works,
            self._outlet,
            common.metrics,
            common.options,
            common.membership.hand_back_s,
            self.app.fail,
        )
        step = Step({lane.name: lane}, self.lane.redrive)
        steps = {(topology, work.name): step for topology, work in works}
        self._redrives = StepRedrives(common.cluster, steps, self._outlet, self.app.fail)
        self.app.host(lane.name, lane, self.lane)
        self.app.host(f"{lane.name}-redrives", REDRIVES, self._redrives)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop`. Raises what ended it before."""
        self.lane.start(self._pool)
        try:
            await self.app.run(stop)
        finally:
            await self.lane.close()
            await self._redrives.close()
            await self._outlet.close()

    def _pool(self, lane: Lane) -> WorkPool[Request]:
        at = self._common.options.at
        return WorkPool(self._launch, self._processes, self._scratch, lane, at)

    def gauges(self) -> None:
        self.lane.gauges()
        self.app.gauges()


class TopologyWorker:
    """The projections of one topology; its folds are services of the same app (`App.serve`)."""

    def __init__(
        self,
        common: Common,
        topology: Topology,
        tables: Tables,
    ) -> None:
        metrics, options = common.metrics, common.options
        group = projections_group(topology)
        self.app = App(common.cluster, group, metrics, common.membership, ROWS_READING)
        self._outlet = Outlet(common.cluster, common.by_name, metrics)
        self.projections = [
            Projection(
                topology.name, project, tables, self._outlet, metrics, options.at, options.decode
            )
            for project in topology.projects
        ]
        steps: dict[tuple[str, str], Step] = {}
        for projection in self.projections:
            project = projection.project
            again = Step({project.reads.name: project.reads}, projection.redrive)
            steps[topology.name, project.name] = again
            self.app.host(project.name, project.reads, projection)
        self._redrives = StepRedrives(common.cluster, steps, self._outlet, self.app.fail)
        self.app.host(f"{topology.name}-redrives", REDRIVES, self._redrives)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop`. Raises what ended it before."""
        tasks = [asyncio.create_task(projection.run()) for projection in self.projections]
        for task in tasks:
            task.add_done_callback(self._done)
        try:
            await self.app.run(stop)
        finally:
            for task in tasks:
                task.cancel()
            await self._redrives.close()
            await self._outlet.close()

    def _done(self, task: asyncio.Task[None]) -> None:
        bug = None if task.cancelled() else task.exception()
        if bug is not None:
            self.app.fail(bug)

    def gauges(self) -> None:
        self.app.gauges()


def projections_group(topology: Topology) -> str:
    """The group, without prefix, whose committed offsets say how far rows are written."""
    return f"{topology.name}-projections"


def works_of(lane: Topic, topologies: Sequence[Topology]) -> list[tuple[str, Work]]:
    """The works that take from the lane, with their topologies' names."""
    return [
        (topology.name, work)
        for topology in topologies
        for work in topology.works
        if lane in work.lanes
    ]
