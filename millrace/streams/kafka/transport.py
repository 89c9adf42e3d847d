"""Faust's Kafka transport with the holes closed that lose records.

Stock faust-streaming 0.15.3 was seen on a real broker to commit past records that nobody had done,
to forget acknowledgements at a rebalance before they were committed, to skip what was delivered
between a resume and the seek that belongs to it (1 of 6 restarts, 50 records a partition), and to
read all partitions where it wanted none (3 of 24 take-overs). Here is one reader, one lock and one
ledger instead: records are fetched and handed on under the lock that a seek takes, so nothing that
was fetched before a seek is handed on after it. Nothing else of Faust is changed, and no step may
rely on more of Faust than that its agents get records and acknowledge them.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message

from millrace.streams.kafka.ledger import Ledger

logger = logging.getLogger(__name__)

# A fetch waits so long for records; a seek waits for the fetch.
FETCH_S = 0.3
# Without any partition to read, the reader looks again after that time.
NOTHING_S = 0.2
# A commit while partitions are taken away holds up the whole group.
LAST_COMMIT_S = 10.0


class Member(Protocol):
    """What a worker's app does when its partitions change. Calls are of the app's loop."""

    @property
    def open_max(self) -> int:
        """Records of a partition that may be handed on and not done, one poll more at most."""
        ...

    async def hand_back(self) -> None:
        """Ends what is in hand, within a bound; begins nothing new."""
        ...

    def lost(self) -> None:
        """Partitions were taken away; what was not begun is somebody else's, or comes again."""
        ...

    def took(self, assigned: frozenset[TP]) -> None:
        """These partitions are this worker's from now on; what it has of others it drops."""
        ...

    def reads(self) -> None:
        """They are read from where the group committed."""
        ...

    def committed(self) -> None:
        """The group has a new position."""
        ...


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread in which aiokafka's consumer lives, so that long work stops no heartbeat."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        """As Faust makes it, less tables, and reading what is committed alone."""
        conf = self.app.conf
        return AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset=conf.consumer_auto_offset_reset,
            isolation_level="read_committed",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=500,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            retry_backoff_ms=100,
        )

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Whether the broker has them. One that is away or knows us no more ends no work."""
        consumer = self._ensure_consumer()
        mine = consumer.assignment()
        positions = {
            where: OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if (where := TopicPartition(tp.topic, tp.partition)) in mine
        }
        if not positions:
            return False
        try:
            await consumer.commit(positions)
        except KafkaError as problem:
            logger.warning("offsets are not committed now: %r", problem)
            return False
        return True

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Goes to the committed offset of every partition, to the first record where none is."""
        found: Mapping[TP, int] = await self.call_thread(self._seek_to_committed)
        return found

    async def _seek_to_committed(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        found: dict[TP, int] = {}
        for where in consumer.assignment():
            offset = await consumer.committed(where)
            if offset is None:
                # aiokafka's own seek_to_committed leaves such a partition where it is.
                await consumer.seek_to_beginning(where)
                offset = await consumer.position(where)
            else:
                consumer.seek(where, offset)
            found[TP(where.topic, where.partition)] = offset
        return found


class Consumer(driver.Consumer):
    """Hands records to agents and commits what they have done; see the module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ledger: Ledger[TP] = Ledger()
        self._reading = asyncio.Lock()
        self._committing = asyncio.Lock()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def member(self) -> Member:
        return cast("Member", self.app)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Reads until the app stops. Takes the place of stock's, with its gaps and its races."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                if not self.flow_active:
                    await self.wait_first(self.can_resume_flow.wait(), fetcher.wait_until_stopped())
                elif not await self._read_once():
                    await fetcher.sleep(NOTHING_S)
        except (ConsumerStoppedError, asyncio.CancelledError):
            # Faust's way of ending it.
            if not self.app.should_stop:
                raise

    async def _read_once(self) -> bool:
        """Fetches and hands on, as one step to whoever seeks; false without partitions to read."""
        async with self._reading:
            # A new set: a revoke empties the one that stock hands over, and empty means all there.
            most = self.member.open_max
            partitions = {tp for tp in self._get_active_partitions() if self.ledger.open(tp) < most}
            if not partitions or not self.flow_active:
                return False
            records = await self._getmany(partitions, FETCH_S)
            if records:
                # Partitions that change end it; the seek that follows comes back to the rest.
                await self.wait_first(self._hand_on(records), self.suspend_flow.wait())
            return True

    async def _hand_on(self, records: RecordMap) -> None:
        for tp, record in in_turns(records):
            if not self.flow_active:
                return
            message = self._to_message(tp, record)
            self.ledger.deliver(tp, message.offset)
            await self.callback(message)

    def on_buffer_full(self, tp: TP) -> None:
        """What bounds reading is what is not done (`open_max`), and not what lies in a buffer."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See on_buffer_full."""

    async def perform_seek(self) -> None:
        """Goes back to what is committed; whatever was handed on before counts no more."""
        async with self._reading:
            self.ledger.begin(await self._thread.seek_to_committed())
        self.member.reads()

    def ack(self, message: Message) -> bool:
        """The record is done; any order. Whether it was waited for."""
        message.acked = True
        return self.ledger.acknowledge(message.tp, message.offset)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commits all partitions up to the first record that is not done."""
        async with self._committing:
            positions = self.ledger.positions()
            if not positions:
                return False
            state = self.app.sensors.on_commit_initiated(self)
            done = await self._commit(positions)
            if done:
                self.ledger.committed(positions)
                self.app.monitor.on_tp_commit(positions)
                self.member.committed()
            self.app.sensors.on_commit_completed(self, state)
            return done

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Ends what is in hand, commits, then forgets; stock forgets first and commits then."""
        await self.member.hand_back()
        self._active_partitions.difference_update(revoked)
        self._paused_partitions.difference_update(revoked)
        if not self.app.should_stop:
            await self._on_partitions_revoked(revoked)
        try:
            async with asyncio.timeout(LAST_COMMIT_S):
                await self.commit()
        except TimeoutError:
            logger.warning("offsets were not committed before partitions went: done again")
        self.ledger.forget(revoked)
        self.member.lost()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        if self.app.should_stop:
            # Stock tears the consumer down here, from the wrong thread; the end is under way.
            return
        self.member.took(frozenset(assigned))
        await super().on_partitions_assigned(assigned, generation_id)

    @property
    def is_member(self) -> bool:
        """Whether all goes on in the group. Looked at from another thread; tolerates anything."""
        consumer = self._thread._consumer
        coordinator = getattr(consumer, "_coordinator", None)
        if self.app.rebalancing or coordinator is None:
            return False
        # Each of these was seen of a consumer that never came back by itself.
        signs = (
            coordinator.generation < 0,
            coordinator._coordination_task.done(),
            coordinator._pending_exception is not None,
        )
        return not any(signs)

    def lags(self) -> dict[str, int]:
        """Records that are appended and not done, by topic, as far as this member knows."""
        found: dict[str, int] = {}
        for tp in self.assignment():
            # Typed as a number by Faust, and None until the first fetch was answered.
            end = cast("int | None", self.highwater(tp))
            position = self.ledger.position(tp)
            if end is not None and position is not None:
                found[tp.topic] = found.get(tp.topic, 0) + max(0, end - position)
        return found

    async def verify_all_partitions_active(self) -> None:
        """Stock takes long work for a hanging agent and says so; the watchdog knows better."""


class Transport(driver.Transport):
    """What an app uses for `kafka://`."""

    Consumer: ClassVar[type[Consumer]] = Consumer


def in_turns(records: RecordMap) -> Iterator[tuple[TP, ConsumerRecord]]:
    """One record of each partition after the other, so that none waits for another's backlog."""
    turns: list[tuple[TP, Iterator[ConsumerRecord]]] = [
        (TP(tp.topic, tp.partition), iter(several)) for tp, several in records.items()
    ]
    while turns:
        turns, now = [], turns
        for tp, several in now:
            for record in several:
                yield tp, record
                turns.append((tp, several))
                break
