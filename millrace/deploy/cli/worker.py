"""`millrace worker`: folds and projections of a topology, works of a lane, or all of them."""

import asyncio
import logging
import sys
from collections.abc import Callable
from functools import partial

import click

from millrace.deploy.cli.cluster import with_cluster
from millrace.deploy.collecting import collect_rarely
from millrace.deploy.keys import NoKeys
from millrace.deploy.serving import stop_at_signals
from millrace.deploy.settings import Settings, replaced
from millrace.streams.topologies import TOPOLOGIES, lanes

ALL = "all"
FORM = "%(asctime)s {name} %(levelname)s %(name)s: %(message)s"
# What these warn of is everyday (members come and go, a commit takes long), or is raised as well,
# and told by whoever was to wait for it.
QUIETER = {
    "aiokafka.consumer.group_coordinator": logging.ERROR,
    # The first batch of a transaction that the broker is not ready for; it is sent again.
    "aiokafka.producer.sender": logging.ERROR,
    "cassandra": logging.CRITICAL,
    "mode.timers": logging.ERROR,
}


def names() -> tuple[str, ...]:
    """What a worker may be: each topology, then each lane."""
    return (*(one.name for one in TOPOLOGIES), *(lane.name for lane in lanes()))


@click.command("worker")
@click.argument(
    "wanted", metavar="NAME...", nargs=-1, required=True, type=click.Choice([*names(), ALL])
)
@with_cluster()
def worker_command(wanted: tuple[str, ...], given: Settings) -> None:
    """Run NAME, a topology or a lane; several, or all, in a process each.

    Prints `ready http://HOST:PORT` when it works, its address for /readyz and /metrics. Of several
    it prints a line each, and `ready all` when every one was ready; one that ends is started again.
    """
    if ALL in wanted or len(wanted) > 1:
        supervise(given, names() if ALL in wanted else wanted)
        return
    code = work(given, wanted[0], lambda address: said(f"ready {address}"))
    raise click.exceptions.Exit(code)


def supervise(given: Settings, wanted: tuple[str, ...]) -> None:
    # Imported before the forks, so that the children share it.
    import millrace.deploy.composition_worker  # noqa: F401, PLC0415
    from millrace.deploy.supervisor import Supervisor  # noqa: PLC0415

    programs = []
    for number, name in enumerate(wanted):
        port = given.metrics_port + number if given.metrics_port else 0
        own = replaced(given, metrics_port=port)
        programs.append((name, partial(work, own, name)))
    Supervisor(programs, said).run()


def work(given: Settings, name: str, announce: Callable[[str], None]) -> int:
    """One worker, until a signal; the exit code."""
    collect_rarely()
    logging.basicConfig(level=logging.WARNING, format=FORM.replace("{name}", name))
    for library, level in QUIETER.items():
        logging.getLogger(library).setLevel(level)
    try:
        asyncio.run(working(given, name, announce))
    except (OSError, NoKeys) as problem:
        logging.getLogger(__name__).critical("it can't go on: %s", problem)
        return 1
    return 0


async def working(given: Settings, name: str, announce: Callable[[str], None]) -> None:
    from millrace.deploy.composition_worker import WorkerProcess  # noqa: PLC0415

    stop = asyncio.Event()
    stop_at_signals(stop.set)
    await WorkerProcess(given, name).run(stop, announce)


def said(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
