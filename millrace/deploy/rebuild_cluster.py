"""Rebuild over a cluster (RPL-1): a fresh keyspace beside the live one, compared, switched to.

A rebuild that is killed half way leaves a keyspace that nobody reads; the next one drops it and
starts again. All tables move together, so only all projections can be switched. Reads never fail
meanwhile: they follow the one row that says which keyspace is read.
"""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiokafka import TopicPartition

from millrace.deploy.clock import now_ms
from millrace.deploy.rebuild import Fresh, projects_of, refilled
from millrace.deploy.stores import Rows
from millrace.gateway.context import Outcome
from millrace.sinks.cassandra_keyspaces import SpaceMoved
from millrace.sinks.cassandra_lock import Lock, LockHeld
from millrace.sinks.cassandra_tables import CassandraTables, FixedSpace
from millrace.sinks.ports import Log, StoreBusy
from millrace.sinks.tables import TABLES
from millrace.streams.declarations import Project, Topology
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.fetching import Fetching
from millrace.streams.kafka.lag import committed
from millrace.streams.kafka.workers import projections_group

REBUILD_LOCK = "rebuild"


@dataclass(slots=True)
class Rebuilder:
    """Rebuilds of one installation; one at a time, whoever asks whichever gateway."""

    cluster: Cluster
    log: Log
    rows: Rows
    topologies: tuple[Topology, ...]

    async def run(self, name: str, then: Outcome) -> Mapping[str, Any]:
        """The report of `rebuild`, with the `keyspace` that is read afterwards.

        KeyError: no such projection. ValueError: what can't be done, or not now. Raises StoreBusy.
        """
        projects = projects_of(self.topologies, name)
        if then != "verify" and name != "all":
            raise ValueError("tables move together: only all of them can be switched")
        lock = Lock(self.rows.session, self.rows.keyspaces.prefix, REBUILD_LOCK)
        with ExitStack() as held:
            try:
                await asyncio.to_thread(held.enter_context, lock.held(0.0))
                if then == "roll-back":
                    return await self.rolled_back(projects)
                return await self.rebuilt(projects, switch=then == "switch")
            except (LockHeld, SpaceMoved) as problem:
                raise ValueError(f"not now: {problem}") from problem

    async def rebuilt(self, projects: list[Project], switch: bool) -> Mapping[str, Any]:
        keyspaces = self.rows.keyspaces
        before = await asyncio.to_thread(keyspaces.active)
        space = await asyncio.to_thread(keyspaces.fresh)
        tables = self.tables_in(space)
        every = [Fresh(project, tables) for project in projects]
        live, partitions = self.rows.tables, self.cluster.partitions
        fetching = Fetching(self.cluster.bootstrap, [])
        try:
            caught_up = partial(self.caught_up, fetching)
            found = await refilled(every, self.log, live, partitions, caught_up)
        finally:
            await fetching.close()
        if not switch:
            await asyncio.to_thread(keyspaces.drop, space)
            return {**found, "keyspace": before}
        await asyncio.to_thread(tables.create, TABLES)
        await asyncio.to_thread(keyspaces.switch, before, space)
        await self.read_on(every)
        return {**found, "keyspace": space, "previous": before}

    async def rolled_back(self, projects: list[Project]) -> Mapping[str, Any]:
        keyspaces = self.rows.keyspaces
        before = await asyncio.to_thread(keyspaces.state)
        if before.previous is None:
            raise SpaceMoved(f"{before.active} has no predecessor any more")
        # It has had no rows since the switch: nobody is to see it before it has caught up.
        every = [Fresh(project, self.tables_in(before.previous)) for project in projects]
        await self.read_on(every)
        space = await asyncio.to_thread(keyspaces.roll_back)
        await self.read_on(every)
        return {"tables": [], "differences": [], "keyspace": space, "previous": before.active}

    async def read_on(self, every: list[Fresh]) -> None:
        """What was projected into the other keyspace before the switch comes into this one too."""
        for fresh in every:
            await fresh.read_on(self.log, self.cluster.partitions)

    def tables_in(self, space: str) -> CassandraTables:
        return CassandraTables(self.rows.session, FixedSpace(space), now_ms)

    async def caught_up(
        self, fetching: Fetching, project: Project, positions: Mapping[int, int]
    ) -> bool:
        """Whether the live projection has committed these; no where nobody knows now."""
        (topology,) = (one for one in self.topologies if project in one.projects)
        topic, group = self.cluster.topic(project.reads), projections_group(topology)
        try:
            done = await fetching.asked(partial(committed, self.cluster.group(group)))
        except StoreBusy:
            return False
        places = {TopicPartition(topic, one): offset for one, offset in positions.items()}
        return all(done.get(place, 0) > offset for place, offset in places.items())
