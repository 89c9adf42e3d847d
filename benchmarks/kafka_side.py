"""One side of a pair on Kafka, in a process of its own, so that its CPU seconds are its own.

    python -m benchmarks.kafka_side SIDE BOOTSTRAP PREFIX NAME BATCH

It takes all records of the input once and prints records, wall and CPU seconds as JSON. Sides: raw
(a transactional loop of getmany and batches, no codec), declared (our task: Avro, envelope,
journal), faust (a stock agent that counts in a table), read (getmany alone), restore (the changelog
back into states).
"""

import asyncio
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.engine import GRAINS, QUIET
from millrace.deploy.collecting import collect_rarely
from millrace.schemas import codec
from millrace.schemas.topics import TOPICS
from millrace.streams.declarations import Topology
from millrace.streams.kafka import changelog
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.fold_task import KafkaTask, Settings
from millrace.streams.kafka.transaction import Outgoing, send_all
from millrace.streams.metrics import Metrics
from millrace.streams.points import nowhere

Figures = dict[str, float]


def figures(records: int, wall_s: float, cpu_s: float) -> Figures:
    return {
        "records": records,
        "wall_s": time.perf_counter() - wall_s,
        "cpu_s": time.process_time() - cpu_s,
    }


def topology_named(name: str) -> Topology:
    """The counter under a name of its own: a changelog, a group and transactions of its own."""
    return replace(QUIET, name=name)


async def consumer_of(cluster: Cluster, topic: str) -> tuple[AIOKafkaConsumer, int]:
    """A reader at the start of the topic's one partition, and that partition's end."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=1 << 20,
    )
    await reader.start()
    place = TopicPartition(topic, 0)
    reader.assign([place])
    await reader.seek_to_beginning(place)
    return reader, (await reader.end_offsets([place]))[place]


async def raw(cluster: Cluster, name: str, batch: int) -> Figures:
    """What the transactional task costs without anything of Millrace in it."""
    topic = cluster.topic(GRAINS)
    reader, end = await consumer_of(cluster, topic)
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap,
        transactional_id=f"{cluster.prefix}{name}",
        max_batch_size=512 * 1024,
        compression_type="lz4",
    )
    await producer.start()
    place, counts, done = TopicPartition(topic, 0), dict[bytes, int](), 0
    out = cluster.changelog(topology_named(name)), 0
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    while done < end:
        changed = {}
        got = await reader.getmany(place, timeout_ms=500, max_records=batch)
        for message in got.get(place, ()):
            changed[message.key] = counts.get(message.key, 0) + 1
            counts[message.key] = changed[message.key]
            done = message.offset + 1
        await producer.begin_transaction()
        now_ms = time.time_ns() // 1_000_000
        changes: list[Outgoing] = [(key, b"%d" % n, []) for key, n in changed.items()]
        await send_all(producer, out, changes, now_ms)
        await send_all(producer, out, [(changelog.POSITIONS, b"%d" % done, [])], now_ms)
        await producer.send_offsets_to_transaction({place: done}, cluster.group(name))
        await producer.commit_transaction()
    found = figures(done, wall_s, cpu_s)
    await reader.stop()
    await producer.stop()
    return found


def task_of(cluster: Cluster, name: str, batch: int) -> KafkaTask:
    settings = Settings(
        cluster=cluster,
        topics={topic.name: topic for topic in (*TOPICS, GRAINS)},
        now_ms=lambda: time.time_ns() // 1_000_000,
        at=nowhere,
        decode=codec.decode,
        recovering=lambda *_: None,
        records_max=batch,
    )
    return KafkaTask(settings, topology_named(name), 0, Metrics(100))


async def declared(cluster: Cluster, name: str, batch: int) -> Figures:
    """The declared fold, as a worker runs it."""
    reader, end = await consumer_of(cluster, cluster.topic(GRAINS))
    await reader.stop()
    collect_rarely()
    task = task_of(cluster, name, batch)
    await task.open()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    while task.positions.get(GRAINS.name, 0) < end:
        await task.fold(await task.fetch())
    found = figures(end, wall_s, cpu_s)
    await task.close()
    return found


async def read(cluster: Cluster, name: str, batch: int) -> Figures:
    """The changelog, read and thrown away."""
    topic = cluster.changelog(topology_named(name))
    reader, end = await consumer_of(cluster, topic)
    place, done = TopicPartition(topic, 0), 0
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    while await reader.position(place) < end:
        got = await reader.getmany(place, timeout_ms=500)
        done += len(got.get(place, ()))
    found = figures(done, wall_s, cpu_s)
    await reader.stop()
    return found


async def restore(cluster: Cluster, name: str, batch: int) -> Figures:
    """The changelog, read back as a new owner does."""
    topic = cluster.changelog(topology_named(name))
    reader, _ = await consumer_of(cluster, topic)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    restored = await changelog.restore(reader, TopicPartition(topic, 0), lambda done, of: None)
    found = figures(restored.records, wall_s, cpu_s)
    await reader.stop()
    return found


async def stock_faust(cluster: Cluster, name: str, batch: int) -> Figures:
    """A stock Faust agent with a table in memory, its own settings but for what the topic needs."""
    reader, end = await consumer_of(cluster, cluster.topic(GRAINS))
    await reader.stop()
    folder = tempfile.mkdtemp()
    app = faust.App(
        f"{cluster.prefix}{name}",
        broker=f"kafka://{cluster.bootstrap}",
        store="memory://",
        datadir=folder,
        web_enabled=False,
        topic_partitions=1,
        consumer_auto_offset_reset="earliest",
        processing_guarantee="at_least_once",
    )
    topic = app.topic(
        cluster.topic(GRAINS), key_type=bytes, value_type=bytes, value_serializer="raw"
    )
    counts = app.Table("counts", default=int, partitions=1, key_type=bytes, value_type=int)
    done, started, ended = 0, list[float](), asyncio.Event()

    async def count(stream: Any) -> None:
        nonlocal done
        async for key, _ in stream.items():  # noqa: PERF102 - a stream, not a dictionary
            if not started:
                started.extend((time.perf_counter(), time.process_time()))
            counts[key] += 1
            done += 1
            if done == end:
                ended.set()

    app.agent(topic)(count)
    await app.start()
    await asyncio.wait_for(ended.wait(), 300)
    found = figures(end, *started)
    await app.stop()
    shutil.rmtree(folder, ignore_errors=True)
    return found


SIDES: dict[str, Callable[[Cluster, str, int], Any]] = {
    "raw": raw,
    "declared": declared,
    "faust": stock_faust,
    "read": read,
    "restore": restore,
}


def main(side: str, bootstrap: str, prefix: str, name: str, batch: str) -> None:
    logging.disable(logging.ERROR)
    cluster = Cluster(bootstrap, prefix, 1)
    print(json.dumps(asyncio.run(SIDES[side](cluster, name, int(batch)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
