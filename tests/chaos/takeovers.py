"""Exactly once, proved by taking workers away: records go through the chain while they die.

A worker joins, something happens to it or to the broker, and those beside it go on: one line each,
with how long it took until the chain moved again. At the end counts, outputs and states equal the
closed form, record by record.
"""

import asyncio
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from millrace.schemas import codec
from millrace.schemas.envelope import Envelope, to_headers
from millrace.schemas.partitioning import partition_of
from millrace.schemas.topics import DEAD_LETTERS, Topic
from millrace.streams.kafka import changelog
from millrace.streams.kafka.admin import apply
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.points import KAFKA_POINTS
from tests.chaos.chain import CHAIN, CHAIN_TOPICS, COUNTED, COUNTING, GRAINS, SUMMED, SUMMING, grain
from tests.stack.servers import PrivateServer

# The changelogs are compacted all the while, under those who read them back.
EAGER = {"segment.bytes": "1048576", "segment.ms": "2000", "min.cleanable.dirty.ratio": "0.01"}
KEYS = 100
PARTITIONS = 4
SESSION_MS = 3_000
READY_WITHIN_S = 60.0
DONE_WITHIN_S = 120.0
CHUNKS = 100


@dataclass(slots=True)
class Worker:
    """A process of fold_worker, and what it wrote."""

    process: "subprocess.Popen[str]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass(slots=True)
class Run:
    """One proof over a broker: the records, the workers, and what was done to them."""

    broker: PrivateServer
    records: int
    luck: random.Random
    folder: Path
    told: Callable[[str], None] = print
    takeovers: list[str] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    ended: bool = False
    # Of workers that are started from now on.
    version: str = "1"
    session_ms: int = SESSION_MS
    prefix: str = field(default_factory=lambda: f"x{uuid.uuid4().hex[:8]}-")

    @property
    def bootstrap(self) -> str:
        return self.broker.address

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.bootstrap, self.prefix, PARTITIONS)

    def start(self, kill_at: str = "") -> Worker:
        log = self.folder / f"worker-{len(list(self.folder.iterdir()))}.log"
        command = [sys.executable, "-m", "tests.chaos.fold_worker", self.bootstrap]
        command += [self.cluster.prefix, str(PARTITIONS), str(self.session_ms), self.version]
        with log.open("w") as errors:
            process = subprocess.Popen(
                [*command, *([kill_at] if kill_at else [])],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        worker = Worker(process, log)
        self.workers.append(worker)
        return worker

    async def ready(self, worker: Worker) -> None:
        """Until it owns partitions. Raises AssertionError where it ended instead."""
        assert worker.process.stdout is not None
        line = await asyncio.wait_for(
            asyncio.to_thread(worker.process.stdout.readline), READY_WITHIN_S
        )
        assert line == "ready\n" or worker.process.poll() == -signal.SIGKILL, worker.log.read_text()

    async def produce(self, count: int, producer: AIOKafkaProducer) -> None:
        """Grains, acknowledged before it returns."""
        futures = []
        for _ in range(count):
            key = f"key-{self.luck.randrange(KEYS)}"
            self.sent[key] += 1
            event, id_ = grain(key), uuid.uuid4().hex
            futures.append(
                await producer.send(
                    self.cluster.topic(GRAINS),
                    codec.encode(event),
                    key.encode(),
                    partition=partition_of(key.encode(), PARTITIONS),
                    headers=to_headers(Envelope(id_, 0)),
                )
            )
        await asyncio.gather(*futures)

    async def read(self, topic: Topic | str) -> list[Any]:
        """Every committed message of a topic, partition by partition."""
        reader = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        await reader.start()
        found: list[Any] = []
        try:
            for index in range(PARTITIONS):
                place = TopicPartition(self.cluster.topic(topic), index)
                reader.assign([place])
                await reader.seek_to_beginning(place)
                end = (await reader.end_offsets([place]))[place]
                while await reader.position(place) < end:
                    got = await reader.getmany(place, timeout_ms=200)
                    found += got.get(place, ())
        finally:
            await reader.stop()
        return found

    async def ends(self) -> list[int]:
        """Where each partition of the chain's end ends, transactions' own markers included."""
        reader = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, isolation_level="read_committed"
        )
        await reader.start()
        try:
            topic = self.cluster.topic(SUMMED)
            places = [TopicPartition(topic, index) for index in range(PARTITIONS)]
            found = await reader.end_offsets(places)
        finally:
            await reader.stop()
        return [found[place] for place in places]


def numbers_by_key(messages: list[Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for message in messages:
        event: Any = codec.decode(message.value)
        found.setdefault(event.video_id, []).append(event.counted)
    return found


async def states(run: Run, topology: Any, fold: Any) -> dict[str, Any]:
    """What the changelog holds of a fold, over all partitions."""
    decode = msgspec.msgpack.Decoder(fold.state).decode
    found: dict[str, Any] = {}
    for message in await run.read(f"{topology.name}-changelog"):
        if message.key.startswith(changelog.STATE + changelog.SEPARATOR) and message.value:
            key = message.key.split(changelog.SEPARATOR, 2)[2].decode()
            found[key] = decode(message.value[changelog.DUE.size :])
    return found


async def no_letters(run: Run) -> None:
    """The second fold parks a key whose count was lost, doubled or out of order."""
    letters: list[Any] = [codec.decode(one.value) for one in await run.read(DEAD_LETTERS)]
    assert letters == [], [(one.key, one.offset, one.reason) for one in letters]


async def verify(run: Run) -> None:
    """Counts, outputs and states equal the closed form. Raises AssertionError."""
    await no_letters(run)
    counted = numbers_by_key(await run.read(COUNTED))
    assert counted == {key: list(range(1, n + 1)) for key, n in run.sent.items()}
    summed = numbers_by_key(await run.read(SUMMED))
    assert summed == {
        key: [k * (k + 1) // 2 for k in range(1, n + 1)] for key, n in run.sent.items()
    }
    first = await states(run, COUNTING, COUNTING.folds[0])
    assert {key: state.count for key, state in first.items()} == run.sent
    second = await states(run, SUMMING, SUMMING.folds[0])
    assert {k: s.total for k, s in second.items()} == {
        k: n * (n + 1) // 2 for k, n in run.sent.items()
    }


def faults(luck: random.Random) -> Iterator[str]:
    """What happens to a worker next: every point of a transaction, ends in order, long stops."""
    while True:
        kinds = [f"{point}:{luck.randrange(2, 12)}" for point in KAFKA_POINTS]
        kinds += ["sigkill", "sigterm", "sigstop", "broker-sigkill", "broker-sigterm"]
        kinds += ["offsets", "upgrade"]
        luck.shuffle(kinds)
        yield from kinds


async def prove(run: Run, takeovers: int, kinds: Iterator[str] | None = None) -> None:
    """The whole proof: `takeovers` faults while `run.records` grains go through the chain."""
    kinds = kinds or faults(run.luck)
    apply(run.cluster, CHAIN_TOPICS, CHAIN)
    compact_eagerly(run)
    producer = AIOKafkaProducer(
        bootstrap_servers=run.bootstrap, acks="all", enable_idempotence=True
    )
    await producer.start()
    feeding = asyncio.create_task(feed(run, producer, takeovers))
    try:
        keeper = run.start()
        await run.ready(keeper)
        for _ in range(takeovers):
            await take_over(run, next(kinds), producer)
        run.ended = True
        await feeding
        await drained(run)
        await verify(run)
    finally:
        feeding.cancel()
        for worker in run.workers:
            worker.end()
        await producer.stop()


def compact_eagerly(run: Run) -> None:
    admin = AdminClient({"bootstrap.servers": run.bootstrap})
    wanted = []
    for topology in CHAIN:
        changes = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in EAGER.items()
        ]
        topic = run.cluster.changelog(topology)
        wanted.append(ConfigResource(ResourceType.TOPIC, topic, incremental_configs=changes))
    for changed in admin.incremental_alter_configs(wanted).values():
        changed.result()


async def feed(run: Run, producer: AIOKafkaProducer, takeovers: int) -> None:
    """Spreads the grains over the take-overs, so that every one happens under load."""
    for number in range(CHUNKS):
        while len(run.takeovers) < number * takeovers // CHUNKS and not run.ended:
            await asyncio.sleep(0.05)
        await run.produce(run.records // CHUNKS, producer)
        await asyncio.sleep(0.02)


async def take_over(run: Run, kind: str, producer: AIOKafkaProducer) -> None:
    """Something happens, and the chain goes on."""
    started_s = time.monotonic()
    if kind.startswith("broker-"):
        await restart_broker(run, kind)
    elif kind == "offsets":
        await forget_offsets(run)
    elif kind == "upgrade":
        await upgrade(run)
    else:
        await lose_worker(run, kind, producer)
    run.takeovers.append(kind)
    took_s = time.monotonic() - started_s
    moved_s = await moves(run, producer)
    await no_letters(run)
    run.told(f"{len(run.takeovers)} {kind}: {took_s:.1f} s, all moved on after {moved_s:.1f} s")


async def lose_worker(run: Run, kind: str, producer: AIOKafkaProducer) -> None:
    """A worker joins, is killed or sent away, and the one beside it takes its partitions over."""
    at_point = ":" in kind
    worker = run.start(kind if at_point else "")
    await run.ready(worker)
    if kind == "sigkill":
        worker.process.kill()
    elif kind == "sigterm":
        worker.process.terminate()
    elif kind == "sigstop":
        worker.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1.7 * run.session_ms / 1000)
        worker.process.send_signal(signal.SIGCONT)
        # The zombie may try to write what it had in hand; then it goes in order.
        await asyncio.sleep(1.0)
        worker.process.terminate()
    async with asyncio.timeout(DONE_WITHIN_S):
        while (code := worker.process.poll()) is None:
            # A point is passed by transactions alone: there is always something to fold.
            await run.produce(5, producer)
            await asyncio.sleep(0.02)
    wanted = -signal.SIGKILL if at_point or kind == "sigkill" else 0
    assert code == wanted, worker.log.read_text()


async def upgrade(run: Run) -> None:
    """The other version of the folds joins, runs beside this one, and takes over from it."""
    before = [worker for worker in run.workers if worker.process.poll() is None]
    run.version = "2" if run.version == "1" else "1"
    await run.ready(run.start())
    for worker in before:
        worker.process.terminate()
        code = await asyncio.wait_for(asyncio.to_thread(worker.process.wait), DONE_WITHIN_S)
        assert code == 0, worker.log.read_text()


async def restart_broker(run: Run, kind: str) -> None:
    """The broker, which is every group's and every transaction's coordinator, goes and comes."""
    end = run.broker.kill if kind == "broker-sigkill" else run.broker.terminate
    await asyncio.to_thread(end)
    await asyncio.to_thread(run.broker.start)


async def forget_offsets(run: Run) -> None:
    """Group offsets are gone while nobody runs: positions are in the changelog, not there."""
    for worker in run.workers:
        worker.end()
    admin = AdminClient({"bootstrap.servers": run.bootstrap})
    for topology in CHAIN:
        await forget_group(admin, run.cluster.group(topology.name))
    await run.ready(run.start())


async def forget_group(admin: AdminClient, group: str) -> None:
    """Deletes the group, once its dead members' sessions are over."""
    until_s = time.monotonic() + DONE_WITHIN_S
    while True:
        deleted = (await asyncio.to_thread(admin.delete_consumer_groups, [group]))[group]
        try:
            await asyncio.to_thread(deleted.result)
        except KafkaException as refused:
            is_held = refused.args[0].code() == KafkaError.NON_EMPTY_GROUP
            if not is_held or time.monotonic() > until_s:
                raise
            await asyncio.sleep(0.3)
        else:
            return


async def moves(run: Run, producer: AIOKafkaProducer) -> float:
    """Seconds until records come out of every partition of the chain that had not before."""
    started_s, before = time.monotonic(), await run.ends()
    while any(end <= was for end, was in zip(await run.ends(), before, strict=True)):
        assert time.monotonic() < started_s + DONE_WITHIN_S, "nothing moves"
        await run.produce(KEYS // 4, producer)
        await asyncio.sleep(0.05)
    return time.monotonic() - started_s


async def drained(run: Run) -> None:
    """Until everything sent has come out at the end of the chain."""
    until_s, wanted = time.monotonic() + DONE_WITHIN_S, sum(run.sent.values())
    while (found := len(await run.read(SUMMED))) < wanted:
        assert time.monotonic() < until_s, f"{found} of {wanted} came out"
        await no_letters(run)
        await asyncio.sleep(0.3)
