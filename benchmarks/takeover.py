"""How long a partition stands still when its worker is killed, beside the session timeout.

Two workers fold a chain of two topologies; one is killed with SIGKILL while records flow, and the
clock runs until records come out of every partition again. That includes the session timeout, by
which Kafka notices, the rebalance, and the states read back.

    python -m benchmarks.takeover
"""

import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.kafka import broker
from benchmarks.media import spread
from millrace.streams.kafka.admin import apply
from tests.chaos.chain import CHAIN, CHAIN_TOPICS
from tests.chaos.takeovers import Run, moves
from tests.stack.servers import PrivateServer

SESSION_MS = 10_000
KILLS = 5


async def kills(broker: PrivateServer, folder: Path) -> list[float]:
    """Seconds from each kill until every partition moves again."""
    run = Run(broker, 0, random.Random(0), folder, lambda line: None, session_ms=SESSION_MS)
    apply(run.cluster, CHAIN_TOPICS, CHAIN)
    producer = AIOKafkaProducer(bootstrap_servers=run.bootstrap, enable_idempotence=True)
    await producer.start()
    found = []
    try:
        await run.ready(run.start())
        for _ in range(KILLS):
            worker = run.start()
            await run.ready(worker)
            await moves(run, producer)
            killed_s = time.monotonic()
            worker.process.send_signal(signal.SIGKILL)
            await moves(run, producer)
            found.append(time.monotonic() - killed_s)
    finally:
        for worker in run.workers:
            worker.end()
        await producer.stop()
    return found


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder) / "broker") as server:
        logs = Path(folder) / "logs"
        logs.mkdir()
        found = asyncio.run(kills(server, logs))
    return {
        "session_s": SESSION_MS / 1000,
        "stood_still_s": spread(found),
        "to_session": spread([seconds * 1000 / SESSION_MS for seconds in found]),
    }


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
