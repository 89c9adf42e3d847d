"""The folds of one topology in one partition, as one transactional task of Kafka.

InitProducerId settles what the last owner left, then the changelog is read, then the inputs are:
that order must stay. Each batch is folded in memory and committed with its outputs, states,
positions and journal in one transaction; memory follows the commit. Whatever fails throws the
memory away: a life ends, and whoever runs the task begins another.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from millrace.schemas.codec import UnknownFingerprint
from millrace.schemas.topics import DEAD_LETTERS, REDRIVES, TIMERS, Topic
from millrace.streams import points
from millrace.streams.declarations import Topology
from millrace.streams.folding.keyed import KeyedFold
from millrace.streams.folding.records import Decode, Record
from millrace.streams.folding.task import FoldTask, inputs_of
from millrace.streams.kafka import changelog
from millrace.streams.kafka.admin import LETTER_BYTES_MAX
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.logged_fold import LoggedFold
from millrace.streams.kafka.records import Partition, record_of
from millrace.streams.kafka.redrives import Redrives
from millrace.streams.kafka.transaction import KafkaTransaction, Outgoing, send_all
from millrace.streams.metrics import Metrics
from millrace.streams.points import At

# A batch is what was fetched by then, so many records at most (design section 5).
RECORDS_MAX = 2000
# The broker answers a fetch at once when there is something, and after so long when there is not.
FETCH_WAIT_MS = 500
# Timers that are due wait for what was on the log then; it is looked for so often.
SAMPLED_MS = 100
# How long a quiet task waits before it looks at its timers and positions again.
QUIET_MS = 1000
# A record from the future is looked at again after so long.
RETRY_MS = 10_000
BATCH_BYTES_MAX = 512 * 1024
FETCH_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """What may differ between engines; topics are the catalogue, with a test's own."""

    cluster: Cluster
    topics: Mapping[str, Topic]
    now_ms: Callable[[], int]
    at: At
    decode: Decode
    # Told how many records of how many a task has recovered: topology, partition, done, all.
    recovering: Callable[[str, int, int, int], None]
    records_max: int = RECORDS_MAX
    quiet_ms: int = QUIET_MS


class Input:
    """A partition that the task reads, and the offset that it folds next."""

    def __init__(self, partition: Partition, place: TopicPartition, folds: Sequence[KeyedFold]):
        self.partition = partition
        self.place = place
        self.folds = tuple(folds)
        self.position = 0
        # Asked for each record.
        self.name = partition.topic.name
        self.is_redrives = self.name == REDRIVES.name


Batch = list[tuple[Input, Record]]


class KafkaTask:
    """One life of the task, from `open` to `close`. Calls are of one event loop."""

    def __init__(self, settings: Settings, topology: Topology, index: int, metrics: Metrics):
        self.topology = topology
        self.index = index
        self._settings = settings
        self._cluster = settings.cluster
        self._metrics = metrics
        self._labels = {"topology": topology.name, "partition": str(index)}
        self._changelog = TopicPartition(self._cluster.changelog(topology), index)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._cluster.bootstrap,
            transactional_id=self._cluster.transactional_id(topology, index),
            transaction_timeout_ms=self._cluster.session_timeout_ms + 5_000,
            acks="all",
            linger_ms=0,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=LETTER_BYTES_MAX,
            compression_type="lz4",
        )
        # Of no group: a fetch never waits for a rebalance of others.
        self._consumer = self._reader("read_committed")
        self._inputs: dict[TopicPartition, Input] = {}
        self._folds: dict[str, LoggedFold] = {}
        # Fetched, and not yet folded: only a record from the future leaves any.
        self._pending: Batch = []
        # When ends were sampled for timers that are due, and each input's end then.
        self._sample: tuple[int, dict[TopicPartition, int]] | None = None
        # Why it does not go on, and when it looks again.
        self.stopped: str | None = None
        self._retry_at_ms = 0
        # Positions of the last commit, by topic: what the changelog says.
        self.positions: dict[str, int] = {}

    def _reader(self, isolation: str) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._cluster.bootstrap,
            enable_auto_commit=False,
            isolation_level=isolation,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
        )

    async def open(self) -> None:
        """Fences the owner before, reads the states back, and stands where they end."""
        await self._producer.start()
        await self._restore()
        await self._consumer.start()
        self._inputs = {one.place: one for one in self._made_inputs()}
        places = list(self._inputs)
        self._consumer.assign(places)
        self._ends = self._reader("read_uncommitted")
        await self._ends.start()
        first = await self._consumer.beginning_offsets(places)
        for place, one in self._inputs.items():
            one.position = self.positions.get(one.name, first[place])
            self._consumer.seek(place, one.position)

    async def _restore(self) -> None:
        reader = AIOKafkaConsumer(
            bootstrap_servers=self._cluster.bootstrap,
            enable_auto_commit=False,
            isolation_level="read_committed",
            # The default would go on at the end where an offset is gone, without a word.
            auto_offset_reset="none",
            max_partition_fetch_bytes=changelog.READ_BYTES_MAX,
        )
        await reader.start()
        try:
            name, told = self.topology.name, self._settings.recovering
            restored = await changelog.restore(
                reader, self._changelog, lambda done, of: told(name, self.index, done, of)
            )
        finally:
            await reader.stop()
        self.positions = dict(restored.positions)
        self._folds = {
            fold.name: LoggedFold(fold, name, restored, self._metrics)
            for fold in self.topology.folds
        }
        self._task = FoldTask(self.topology, self.index, self._folds)
        self._redrives = Redrives(self._task, self._folds, self._partition, self._record_at)
        self._metrics.add("millrace_recovered_records_total", restored.records, **self._labels)

    def _partition(self, topic: str, index: int) -> Partition:
        """A partition of the catalogue. KeyError where there is no such topic."""
        return Partition(self._settings.topics[topic], index, self._settings.decode)

    def _made_inputs(self) -> list[Input]:
        topics = [*inputs_of(self.topology), REDRIVES]
        return [
            Input(
                Partition(topic, self.index, self._settings.decode),
                TopicPartition(self._cluster.topic(topic), self.index),
                self._task.readers_of(topic),
            )
            for topic in topics
        ]

    async def close(self) -> None:
        """Ends this life; nothing uncommitted is left to anybody. Idempotent."""
        for client in (self._consumer, getattr(self, "_ends", None), self._producer):
            if client is not None:
                await client.stop()

    async def fetch(self) -> Batch:
        """What there is to fold, in the order of append; empty where a timer may be due.

        It may be cancelled, and loses nothing. Raises KafkaError: this life is over then.
        """
        if self._pending:
            # The pause of a record from the future.
            left_ms = self._retry_at_ms - self._settings.now_ms()
            if left_ms > 0:
                await asyncio.sleep(min(left_ms, self._settings.quiet_ms) / 1000)
                return []
            found, self._pending = self._pending, []
            return found
        limit = self._settings.records_max
        got = await self._consumer.getmany(timeout_ms=self._quiet_ms(), max_records=limit)
        records = [
            (self._inputs[place], record_of(self._inputs[place].partition, message))
            for place, messages in got.items()
            for message in messages
        ]
        if len(got) > 1:
            # Stable: within an input the order of the log stays.
            records.sort(key=lambda entry: entry[1].append_ms)
        return records

    async def fold(self, records: Batch) -> None:
        """Folds the batch and the timers that are due, in one transaction; never cancelled.

        Raises KafkaError: this life is over then.
        """
        tx = KafkaTransaction(self._cluster, self._settings.topics, self._settings.now_ms())
        done = await self._fold(tx, records)
        fired = await self._fire(tx)
        if done or fired or not tx.is_empty or await self._passed_markers():
            await self._commit(tx, begun=bool(fired))
            self._metrics.add("millrace_folded_total", done, topology=self.topology.name)

    def _quiet_ms(self) -> int:
        """How long to wait for records."""
        due_ms = self._task.next_timer_ms
        if self._sample is not None:
            return SAMPLED_MS
        quiet_ms = self._settings.quiet_ms
        if due_ms is None:
            return quiet_ms
        return max(1, min(quiet_ms, due_ms - self._settings.now_ms()))

    async def _fold(self, tx: KafkaTransaction, records: Batch) -> int:
        """Folds the records; how many. A record from the future stops the task before it."""
        journal = self._task.journal
        if records:
            self.stopped = None
        for done, (input_, record) in enumerate(records):
            try:
                if input_.is_redrives and not await self._redrives.take(tx, record):
                    input_.position = record.offset + 1
                    continue
                if input_.folds:
                    self._task.hand_out(tx, record, input_.folds)
            except UnknownFingerprint as unknown:
                self._wait_for_build(records[done:], input_, record, str(unknown))
                return done
            input_.position = record.offset + 1
            journal.folded(input_.name, record.offset, record.offset)
        return len(records)

    def _wait_for_build(self, rest: Batch, input_: Input, record: Record, reason: str) -> None:
        """A record from the future stops the task, which keeps its order, and says so."""
        self._pending = rest
        # Decoded anew next time: the schema may have come.
        for _, one in rest:
            one.seen = None
        self.stopped = f"{input_.name} {self.index} {record.offset}: {reason}"
        self._retry_at_ms = self._settings.now_ms() + RETRY_MS

    async def _fire(self, tx: KafkaTransaction) -> int:
        """Folds the timers that are due, once all inputs were read that were there then."""
        now_ms, places = self._settings.now_ms(), list(self._inputs)
        if self.stopped is not None:
            return 0
        if self._sample is None:
            if not self._task.is_due(now_ms):
                return 0
            self._sample = now_ms, await self._ends.end_offsets(places)
        sampled_ms, ends = self._sample
        for place in places:
            if await self._consumer.position(place) < ends[place]:
                return 0
        self._sample = None
        due = self._task.due(tx, sampled_ms)
        if not due:
            return 0
        where = Partition(TIMERS, self.index, self._settings.decode)
        records = [self._task.announce(tx, one, where) for one in due]
        self._settings.at(points.BEFORE_WRITE)
        await self._producer.begin_transaction()
        sent = await tx.send(self._producer)
        offsets = sent[self._cluster.topic(TIMERS), self.index][-len(due) :]
        for one, record, offset in zip(due, records, offsets, strict=True):
            record.offset = offset
            self._task.expire(tx, one, record)
        self._settings.at(points.TIMER_FOLDED)
        return len(due)

    async def _passed_markers(self) -> bool:
        """Whether inputs stand beyond what is stored with nothing left to fold: lag is 0 then."""
        if self._pending or self.stopped is not None:
            return False
        moved = False
        for place, input_ in self._inputs.items():
            input_.position = max(input_.position, await self._consumer.position(place))
            moved = moved or input_.position != self.positions.get(input_.name, 0)
        return moved

    async def _commit(self, tx: KafkaTransaction, *, begun: bool) -> None:
        """The transaction. Whatever it raises ends this life, and memory with it."""
        at, producer, group = self._settings.at, self._producer, self._cluster.group
        started_s = time.perf_counter()
        self._task.journal.write(tx)
        if not begun:
            at(points.BEFORE_WRITE)
            await producer.begin_transaction()
        sent = await tx.hand_over(producer)
        at(points.AFTER_PRODUCE)
        positions = {one.name: one.position for one in self._inputs.values()}
        place = self._changelog.topic, self._changelog.partition
        changes: list[Outgoing] = [
            (key, value, []) for fold in self._folds.values() for key, value in fold.changes()
        ]
        sent += [future for future, _ in await send_all(producer, place, changes, tx.now_ms)]
        at(points.AFTER_CHANGELOG)
        value = changelog.positions_value(positions)
        last = await send_all(producer, place, [(changelog.POSITIONS, value, [])], tx.now_ms)
        sent += [future for future, _ in last]
        # For lag tools alone: nobody here reads them back.
        offsets = {place: one.position for place, one in self._inputs.items()}
        await producer.send_offsets_to_transaction(offsets, group(self.topology.name))
        # A batch that the broker refused for good fails its own future and nothing else: aiokafka
        # would commit the rest. Everything is there before anything is said to be.
        await asyncio.gather(*sent)
        at(points.BEFORE_COMMIT)
        await producer.commit_transaction()
        at(points.AFTER_COMMIT)
        for participant in tx.participants:
            participant.commit()
        for fold in self._folds.values():
            fold.commit()
        self.positions = positions
        self._count(tx, time.perf_counter() - started_s)

    def _count(self, tx: KafkaTransaction, took_s: float) -> None:
        name, letters = self.topology.name, tx.counts[DEAD_LETTERS.name]
        self._metrics.add("millrace_commits_total", topology=name)
        self._metrics.add("millrace_commit_seconds_total", took_s, topology=name)
        self._metrics.add("millrace_dead_letters_total", letters, topology=name)

    async def _record_at(self, partition: Partition, offset: int) -> Record | None:
        """The record at an offset of any topic of ours, None where it is not there any more."""
        place = TopicPartition(self._cluster.topic(partition.topic), partition.index)
        reader = self._reader("read_committed")
        await reader.start()
        try:
            reader.assign([place])
            first = (await reader.beginning_offsets([place]))[place]
            if not first <= offset < (await reader.end_offsets([place]))[place]:
                return None
            reader.seek(place, offset)
            while await reader.position(place) <= offset:
                got = await reader.getmany(place, timeout_ms=500, max_records=1)
                for message in got.get(place, ()):
                    return record_of(partition, message) if message.offset == offset else None
        finally:
            await reader.stop()
        return None

    def state(self, fold: str, key: bytes) -> Any | None:
        """What the fold holds for the key after the last commit, None where it holds nothing."""
        held = self._folds[fold].current(key)
        return None if held is None else held.state

    def parked(self, fold: str, key: bytes) -> list[Any]:
        """Topic, partition and offset of the records that queue behind a key."""
        return [place for place, _ in self._folds[fold].parking.queues.get(key, [])]

    async def is_at_rest(self) -> bool:
        """Whether everything that is on the log now is folded, timers too, or it stands still."""
        if self.stopped is not None:
            return self._settings.now_ms() < self._retry_at_ms
        ends = await self._ends.end_offsets(list(self._inputs))
        folded = all(
            self.positions.get(self._inputs[at].name, 0) >= end for at, end in ends.items()
        )
        return folded and not self._task.is_due(self._settings.now_ms())

    @property
    def next_timer_ms(self) -> int | None:
        """When a key may be due."""
        return self._task.next_timer_ms

    @property
    def lag_known(self) -> dict[str, int]:
        """Records of each input that are on the log and not folded, as the last fetch knew."""
        found = {}
        for place, input_ in self._inputs.items():
            with suppress(AssertionError):
                high = self._consumer.highwater(place)
                found[input_.name] = max(0, (high or 0) - input_.position)
        return found

    @property
    def states(self) -> Mapping[str, int]:
        """How many keys each fold has."""
        return {name: fold.size for name, fold in self._folds.items()}
