"""A worker process of the chain's folds, that kills itself where it is told.

    python -m tests.chaos.fold_worker BOOTSTRAP PREFIX PARTITIONS SESSION_MS VERSION [POINT:N]

It says `ready` on its standard output once it owns partitions and has their states.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from itertools import count

from millrace.schemas import codec
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.fold_group import FoldGroup
from millrace.streams.kafka.fold_task import Settings
from millrace.streams.metrics import Metrics
from millrace.streams.points import At, nowhere
from tests.chaos.chain import CHAIN_TOPICS, VERSIONS


def killer(kill_at: str) -> At:
    """Kills this process at the n-th pass of a point; nothing where none is named."""
    if not kill_at:
        return nowhere
    wanted, _, number = kill_at.partition(":")
    passes = count(1)

    def at(point: str) -> None:
        if point == wanted and next(passes) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    return at


async def main(
    bootstrap: str,
    prefix: str,
    partitions: str,
    session_ms: str,
    version: str,
    kill_at: str = "",
) -> None:
    settings = Settings(
        cluster=Cluster(bootstrap, prefix, int(partitions), session_timeout_ms=int(session_ms)),
        topics={topic.name: topic for topic in CHAIN_TOPICS},
        now_ms=lambda: time.time_ns() // 1_000_000,
        at=killer(kill_at),
        decode=codec.decode,
        recovering=lambda *_: None,
    )
    groups = [FoldGroup(settings, topology, Metrics(1_000)) for topology in VERSIONS[version]]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop, groups)
    await asyncio.gather(tell(groups), *(group.run() for group in groups))


def stop(groups: list[FoldGroup]) -> None:
    for group in groups:
        group.stop()


async def tell(groups: list[FoldGroup]) -> None:
    while not all(group.ready and group.runners for group in groups):
        await asyncio.sleep(0.02)
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(main(*sys.argv[1:]))
