"""A lane's worker as a process of its own, for tests that kill it: BOOTSTRAP PREFIX and options.

It prints `reading` when it has its partitions, and kills itself at the hit of a point that it is
told.
"""

import argparse
import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from millrace.streams.declarations import Topology
from millrace.streams.kafka.app import Membership
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.work import WorkOptions
from millrace.streams.kafka.workers import Common, LaneWorker
from tests.streams.engine.mill import MILL, MILL_TOPICS, MILLING
from tests.streams.working.hands import bare_ports, take_long

HAND_BACK_S = 1.5


class Death:
    """Kills this process at the n-th hit of a point."""

    def __init__(self, point: str, hits: int) -> None:
        self._point = point
        self._hits = hits

    def at(self, point: str) -> None:
        if point == self._point:
            self._hits -= 1
            if not self._hits:
                os.kill(os.getpid(), signal.SIGKILL)


async def work(arguments: argparse.Namespace) -> None:
    cluster = Cluster(
        arguments.bootstrap,
        arguments.prefix,
        arguments.partitions,
        session_timeout_ms=arguments.session_ms,
    )
    death = Death(arguments.die_at, arguments.hits)
    common = Common(
        cluster,
        topics=MILL_TOPICS,
        membership=Membership(arguments.instance or None, HAND_BACK_S),
        options=WorkOptions(at=death.at),
    )
    mill = replace(MILL, do=take_long, lanes=(MILLING,), timeout_s=60.0)
    topology = Topology("ordering", MILLING, (mill,))
    worker = LaneWorker(common, MILLING, [topology], bare_ports, 2, Path(arguments.scratch))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    running = asyncio.create_task(worker.run(stop))
    reading = asyncio.create_task(worker.app.is_reading.wait())
    await asyncio.wait([running, reading], return_when=asyncio.FIRST_COMPLETED)
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    await running


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("prefix")
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--session-ms", type=int, default=6_000)
    parser.add_argument("--instance", default="")
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--die-at", default="")
    parser.add_argument("--hits", type=int, default=1)
    asyncio.run(work(parser.parse_args()))


if __name__ == "__main__":
    main()
