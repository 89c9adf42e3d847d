"""The tasks of one topology in this process: which partitions it owns, and their lives.

Membership of the group is on the topology's lead topic alone, so an upgrade that adds an input
can't split a task in two. A rebalance pauses tasks between transactions; those whose partitions
stay go on with the memory they have, since a new owner in between would have fenced them.
"""

import asyncio
import logging
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import IllegalOperation, KafkaError

from millrace.streams.declarations import Topology
from millrace.streams.kafka.fold_task import KafkaTask, Settings
from millrace.streams.metrics import Metrics

logger = logging.getLogger(__name__)

# A life that failed is followed by another after a pause that doubles up to the longest.
PAUSE_MIN_S = 0.2
PAUSE_MAX_S = 5.0
REBALANCE_TIMEOUT_MS = 30_000
NEVER_MS = (1 << 31) - 1
# A producer that was fenced meanwhile says that it is in no transaction, which is no KafkaError.
ENDS_A_LIFE = (KafkaError, IllegalOperation)


class Runner:
    """The lives of one partition's task, while this process owns the partition."""

    def __init__(self, group: "FoldGroup", partition: int) -> None:
        self.partition = partition
        self.task: KafkaTask | None = None
        self.recovered = False
        self._group = group
        self._stopped = asyncio.Event()
        self._paused = asyncio.Event()
        # Set while no transaction is under way and none will be begun.
        self._still = asyncio.Event()
        self._go_on = asyncio.Event()
        self._go_on.set()
        self.running = asyncio.create_task(self._run(), name=f"fold-{partition}")

    async def pause(self) -> None:
        """Returns between transactions; `resume` or `stop` follows."""
        self._go_on.clear()
        self._paused.set()
        still = asyncio.create_task(self._still.wait())
        await asyncio.wait({still, self.running}, return_when=asyncio.FIRST_COMPLETED)
        still.cancel()

    @property
    def is_still(self) -> bool:
        """Whether no transaction is under way, and none will be begun before somebody says so."""
        return self._still.is_set()

    def resume(self) -> None:
        self._paused.clear()
        self._go_on.set()

    async def stop(self) -> None:
        """Finishes the transaction under way and ends. Raises the bug that ended it before."""
        self._stopped.set()
        self._paused.set()
        self._go_on.set()
        await self.running

    async def _run(self) -> None:
        pause_s = PAUSE_MIN_S
        while not self._stopped.is_set():
            try:
                await self._live()
                pause_s = PAUSE_MIN_S
            except ENDS_A_LIFE as problem:
                self._group.ended(self.partition, problem)
                await self._wait(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
                await self._until_owned()
        self._still.set()

    async def _live(self) -> None:
        """One life. Raises KafkaError."""
        task = KafkaTask(
            self._group.settings, self._group.topology, self.partition, self._group.metrics
        )
        try:
            if await self._opened(task):
                self.task, self.recovered = task, True
            while not self._stopped.is_set():
                await self._turn(task)
        finally:
            self.recovered = False
            await task.close()

    async def _opened(self, task: KafkaTask) -> bool:
        """Recovers, which begins no transaction, so a rebalance need not wait; whether it ended."""
        self._still.set()
        opening = asyncio.create_task(task.open())
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not opening.done():
            opening.cancel()
            await asyncio.wait({opening})
            return False
        opening.result()
        await self._go_on.wait()
        self._still.clear()
        return True

    async def _turn(self, task: KafkaTask) -> None:
        """One batch, or the wait of a rebalance."""
        if not self._go_on.is_set():
            self._still.set()
            await self._go_on.wait()
            self._still.clear()
            return
        if self._group.topology.name in self._group.metrics.stopped:
            await self._wait(PAUSE_MAX_S)
            return
        fetch = asyncio.create_task(task.fetch())
        paused = asyncio.create_task(self._paused.wait())
        await asyncio.wait({fetch, paused}, return_when=asyncio.FIRST_COMPLETED)
        paused.cancel()
        if not fetch.done():
            fetch.cancel()
            await asyncio.wait({fetch})
        if not fetch.cancelled():
            await task.fold(fetch.result())

    async def _wait(self, seconds: float) -> None:
        """A pause that a rebalance cuts short."""
        self._still.set()
        paused = asyncio.create_task(self._paused.wait())
        await asyncio.wait({paused}, timeout=seconds)
        paused.cancel()
        await self._go_on.wait()
        self._still.clear()

    async def _until_owned(self) -> None:
        """Whoever was fenced may be nobody any more: only an owner may fence the next one."""
        pause_s = PAUSE_MIN_S
        while not self._stopped.is_set() and not await self._group.owns(self.partition, self.task):
            await self._wait(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)


class FoldGroup(ConsumerRebalanceListener):  # type: ignore[misc]  # of an untyped library
    """A topology's folds in one process. `member` makes its membership static across restarts."""

    def __init__(
        self, settings: Settings, topology: Topology, metrics: Metrics, member: str = ""
    ) -> None:
        self.settings = settings
        self.topology = topology
        self.metrics = metrics
        self.runners: dict[int, Runner] = {}
        cluster = settings.cluster
        self._lead = cluster.topic(topology.lead)
        self._joined = False
        self._stop = asyncio.Event()
        session_ms = cluster.session_timeout_ms
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=cluster.bootstrap,
            group_id=cluster.group(topology.name),
            group_instance_id=f"{topology.name}-{member}" if member else None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 4,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            # It is never polled for records: its partitions are paused.
            max_poll_interval_ms=NEVER_MS,
            partition_assignment_strategy=(StickyPartitionAssignor,),
        )

    @property
    def ready(self) -> bool:
        """Whether it is a member, and every task it owns has its states."""
        return self._joined and all(runner.recovered for runner in self.runners.values())

    async def run(self) -> None:
        """Until `stop`. Raises the bug that ended a task; KafkaError where it cannot even start."""
        self._consumer.subscribe([self._lead], listener=self)
        await self._consumer.start()
        stop = asyncio.create_task(self._stop.wait())
        try:
            while not stop.done():
                # With every partition paused it only says what is wrong with the membership.
                poll = asyncio.create_task(self._consumer.getmany(timeout_ms=1000))
                running = [runner.running for runner in self.runners.values()]
                await asyncio.wait({poll, stop, *running}, return_when=asyncio.FIRST_COMPLETED)
                await self._look(poll, running)
        finally:
            stop.cancel()
            await self._close()

    async def _look(
        self, poll: "asyncio.Task[object]", running: Iterable["asyncio.Task[None]"]
    ) -> None:
        """Raises what went wrong with a task, or with the membership for good."""
        for one in running:
            if one.done() and not one.cancelled() and one.exception() is not None:
                poll.cancel()
                one.result()
        if not poll.done():
            poll.cancel()
            await asyncio.wait({poll})
        if not poll.cancelled() and poll.exception() is not None:
            poll.result()

    def stop(self) -> None:
        """Ends `run` when the transactions under way are done; any call but from another thread."""
        self._stop.set()

    async def _close(self) -> None:
        runners, self.runners = list(self.runners.values()), {}
        await asyncio.gather(*(runner.stop() for runner in runners), return_exceptions=True)
        await self._consumer.stop()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._joined = False
        await asyncio.gather(*(runner.pause() for runner in self.runners.values()))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        places = list(assigned)
        self._consumer.pause(*places)
        wanted = {place.partition for place in places}
        lost = [self.runners.pop(number) for number in self.runners.keys() - wanted]
        await asyncio.gather(*(runner.stop() for runner in lost))
        for number in wanted:
            if number in self.runners:
                self.runners[number].resume()
            else:
                self.runners[number] = Runner(self, number)
        self._joined = True
        self.metrics.add("millrace_rebalances_total", topology=self.topology.name)
        self.metrics.put("millrace_fold_partitions", len(wanted), topology=self.topology.name)

    def ended(self, partition: int, problem: Exception) -> None:
        """A life ended: what it had in memory is gone, what it had committed is not."""
        name = self.topology.name
        logger.warning("%s %d begins again: %r", name, partition, problem)
        self.metrics.add("millrace_fold_lives_ended_total", topology=name, partition=str(partition))

    async def owns(self, partition: int, task: KafkaTask | None) -> bool:
        """Whether the group still has this process as the partition's owner.

        Asked by a commit of the offset that is stored anyway: the coordinator refuses a stranger's.
        """
        offset = 0 if task is None else task.positions.get(self.topology.lead.name, 0)
        try:
            await self._consumer.commit({TopicPartition(self._lead, partition): offset})
        except KafkaError:
            return False
        return True

    def gauges(self) -> None:
        """Puts lag, states and what stands still into the metrics."""
        lag, states, stopped = 0, 0, 0
        for runner in self.runners.values():
            if runner.task is not None:
                lag += sum(runner.task.lag_known.values())
                states += sum(runner.task.states.values())
                stopped += runner.task.stopped is not None
        name = self.topology.name
        self.metrics.put("millrace_fold_lag", lag, topology=name)
        self.metrics.put("millrace_states", states, topology=name)
        self.metrics.put("millrace_stopped", stopped, topology=name)
