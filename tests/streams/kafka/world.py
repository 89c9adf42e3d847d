"""Whole topologies over a real broker in one process: folds by tasks, works and rows by hand.

Works are done and rows are written where a test may watch them, with the same attempts, ids and
rows as worker processes have; how those run is tested elsewhere.
"""

from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from millrace.schemas.envelope import Headers
from millrace.schemas.topics import Topic, partition_for
from millrace.sinks.ports import Tables
from millrace.streams.declarations import Project, Topology, Work, WorkPorts
from millrace.streams.folding.records import Record
from millrace.streams.kafka.appending import Appending
from millrace.streams.kafka.records import Partition, record_of
from millrace.streams.kafka.transaction import KafkaTransaction
from millrace.streams.projected import rows_of, write_rows
from millrace.streams.working.attempts import Made, attempt
from tests.streams.kafka.driver import KafkaDriver


class KafkaWorld(KafkaDriver):
    """A driver whose `settle` goes on until works and rows have nothing left to do either."""

    def __init__(
        self,
        bootstrap: str,
        topologies: Sequence[Topology],
        topics: Sequence[Topic],
        *,
        tables: Tables,
        ports: Callable[[], WorkPorts],
        partitions: int,
    ) -> None:
        self._tables = tables
        self._ports = ports
        self._works = [work for topology in topologies for work in topology.works]
        self._projects = [one for topology in topologies for one in topology.projects]
        super().__init__(bootstrap, topologies, topics, partitions=partitions)

    async def _open(self) -> None:
        await super()._open()
        self._appending = Appending(self.cluster.bootstrap, 1.0)
        self._reader = AIOKafkaConsumer(
            bootstrap_servers=self.cluster.bootstrap,
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        await self._reader.start()
        names = {lane.name: lane for work in self._works for lane in work.lanes}
        names |= {project.reads.name: project.reads for project in self._projects}
        self._places = {
            TopicPartition(self.cluster.topic(topic), index): Partition(topic, index)
            for topic in names.values()
            for index in range(self.cluster.partitions)
        }
        self._reader.assign(list(self._places))
        await self._reader.seek_to_beginning(*self._places)

    async def _end(self) -> None:
        await self._reader.stop()
        await self._appending.close()
        await super()._end()

    async def _rest(self) -> None:
        await super()._rest()
        while records := await self._news():
            for record in records:
                await self._work(record)
                self._project(record)
            await super()._rest()

    async def _news(self) -> list[Record]:
        """Requests and facts since the last time, in the order of append."""
        places, found = list(self._places), list[Record]()
        ends = await self._reader.end_offsets(places)
        for place in places:
            while await self._reader.position(place) < ends[place]:
                got = await self._reader.getmany(place, timeout_ms=200)
                found += [record_of(self._places[place], one) for one in got.get(place, ())]
        return sorted(found, key=lambda record: record.append_ms)

    async def _work(self, record: Record) -> None:
        for work in self._works:
            takes = not work.takes or isinstance(record.recorded.event, work.takes)
            if takes and record.partition.topic in work.lanes:
                await self._attempt(work, record)

    async def _attempt(self, work: Work, record: Record) -> None:
        topics = {topic.name: topic for topic in self.topics}
        for number, made in enumerate(attempt(work, record.recorded, self._ports())):
            assert isinstance(made, Made), made
            tx = KafkaTransaction(self.cluster, topics, self.clock.now_ms)
            output = topics[made.topic], made.event, made.value
            tx.emit(work.name, number, output, (record.recorded, record), tx.now_ms)
            for place, outgoing in tx.outgoing.items():
                for key, value, headers in outgoing:
                    await self._appending.append(*place, key, value or b"", headers)

    def _project(self, record: Record) -> None:
        for project in self._projects:
            if record.partition.topic is project.reads:
                rows = rows_of(project, record)
                write_rows(self._tables, project, [(record, rows)], refused(project))

    def pipe_raw(self, topic: Topic, key: bytes, value: bytes, at_ms: int) -> None:
        """A record of a topic that is not ours, of a logical time of the test's."""
        index = partition_for(topic, None, key, self.cluster.partitions)
        headers: Headers = [("at", str(at_ms).encode())]

        async def append() -> Any:
            name = self.cluster.topic(topic)
            return await self._appending.append(name, index, key, value, headers)

        self._call(append())


def refused(project: Project) -> Callable[[Record, str], None]:
    def refuse(record: Record, reason: str) -> None:
        raise AssertionError(f"{project.name}: {reason}")

    return refuse
