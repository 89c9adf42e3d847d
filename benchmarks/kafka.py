"""What a fold on Kafka costs, exactly once, beside a stock Faust agent with a table.

Same broker, same input, one partition, sides in turn, each in a process of its own; CPU is the
client's alone. Recovery is a changelog of 100 k keys read back, beside reading it and throwing it
away. The broker is the benchmark's own.

    python -m benchmarks.kafka
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.engine import GRAINS, grain
from benchmarks.kafka_side import topology_named
from benchmarks.media import spread
from millrace.deploy.stack import stack
from millrace.deploy.stack.downloads import Cache
from millrace.deploy.stack.places import CACHE, Places
from millrace.schemas import codec
from millrace.schemas.envelope import Envelope, to_headers
from millrace.schemas.topics import TOPICS
from millrace.streams.kafka.admin import apply
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.transaction import send_all
from tests.stack.servers import PrivateServer

RECORDS = 50_000
KEYS = 10_000
RECOVERED_KEYS = 100_000
PAIRS = 5
BATCHES = (500, 2000)


@contextmanager
def broker(folder: Path) -> Iterator[PrivateServer]:
    """A broker of our own."""
    places = Places.anywhere(folder)
    servers = stack.servers(places, Cache(CACHE.resolve()), stack.find_tools())
    (server,) = (one for one in servers if one.name == "kafka")
    stack.bring_up(server)
    try:
        yield PrivateServer(server)
    finally:
        stack.bring_down(server)


async def fill(cluster: Cluster, records: int, keys: int) -> None:
    """The input: encoded events with their envelopes."""
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap, max_batch_size=512 * 1024, compression_type="lz4"
    )
    await producer.start()
    events = (grain(number, keys) for number in range(records))
    outgoing = [
        (GRAINS.key(event), codec.encode(event), to_headers(Envelope(uuid.uuid4().hex, 0)))
        for event in events
    ]
    for future, _ in await send_all(producer, (cluster.topic(GRAINS), 0), outgoing, 0):
        await future
    await producer.stop()


def side(cluster: Cluster, which: str, name: str, batch: int) -> dict[str, float]:
    """One side, run; microseconds of CPU and of wall time a record are added."""
    command = [sys.executable, "-m", "benchmarks.kafka_side", which]
    command += [cluster.bootstrap, cluster.prefix, name, str(batch)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    found: dict[str, float] = json.loads(done.stdout)
    each = 1e6 / found["records"]
    return {**found, "cpu_us": found["cpu_s"] * each, "wall_us": found["wall_s"] * each}


def folds(address: str) -> dict[str, Any]:
    """Raw loop and declared fold at each batch size, each beside stock Faust, in turn."""
    cluster = Cluster(address, f"b{uuid.uuid4().hex[:6]}-", 1)
    apply(cluster, (*TOPICS, GRAINS), ())
    asyncio.run(fill(cluster, RECORDS, KEYS))
    rows = []
    for number in range(PAIRS):
        row: dict[str, Any] = {"faust": side(cluster, "faust", f"faust-{number}", 0)}
        for batch in BATCHES:
            for which in ("raw", "declared"):
                name = f"{which}-{batch}-{number}"
                apply(cluster, (), (topology_named(name),))
                row[f"{which}_{batch}"] = side(cluster, which, name, batch)
        rows.append(row)
    names = [name for name in rows[0] if name != "faust"]
    return {
        "cpu_us": {name: spread([row[name]["cpu_us"] for row in rows]) for name in rows[0]},
        "faust_to": {
            name: spread([row["faust"]["cpu_us"] / row[name]["cpu_us"] for row in rows])
            for name in names
        },
        "rows": rows,
    }


def recovery(address: str) -> dict[str, Any]:
    """Records a second of CPU read back into states / the same changelog only read."""
    cluster = Cluster(address, f"b{uuid.uuid4().hex[:6]}-", 1)
    topology = topology_named("recovered")
    apply(cluster, (*TOPICS, GRAINS), (topology,))
    asyncio.run(fill(cluster, RECOVERED_KEYS, RECOVERED_KEYS))
    side(cluster, "declared", topology.name, BATCHES[-1])
    rows = [
        {which: side(cluster, which, topology.name, 0) for which in ("read", "restore")}
        for _ in range(PAIRS)
    ]
    ratios = [row["read"]["wall_us"] / row["restore"]["wall_us"] for row in rows]
    return {"keys": RECOVERED_KEYS, "rate_to_read": spread(ratios), "rows": rows}


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as server:
        return {"folds": folds(server.address), "recovery": recovery(server.address)}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
