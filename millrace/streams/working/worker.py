"""The worker process: one request at a time, each result said only after it is durable.

It is started fresh, imports what works need while it waits, and ends with its parent. It must never
touch the log: the parent appends, and the worker waits for the word before it goes on.
"""

import ctypes
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from millrace.schemas import codec
from millrace.schemas.envelope import Recorded
from millrace.sinks.ports import StoreBusy
from millrace.streams.declarations import Failure, Work, WorkPorts
from millrace.streams.working.attempts import attempt, refuse_full

PortsFactory = Callable[[Path, str], WorkPorts]
PR_SET_PDEATHSIG = 1
# Native threads of one work; beyond wall time times this, its CPU time is over.
CPU_CORES_MAX = 4
INFINITE = resource.RLIM_INFINITY


@dataclass(frozen=True, slots=True)
class Order:
    """A request as it travels to the worker."""

    work: str
    recorded: Recorded[Any]
    scratch: Path


@dataclass(frozen=True, slots=True)
class Busy:
    """A store was busy: the request comes back later, and no attempt was used up."""

    text: str


def main(requests: int, life: int) -> None:
    """Runs until the parent is gone. The arguments are file descriptors it left open."""
    die_with_parent(life)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent: Connection = Connection(requests)
    works: dict[str, Work] = {work.name: work for work in parent.recv()}
    factory: PortsFactory = parent.recv()
    name: str = parent.recv()
    codec.registry()
    parent.send(None)
    while True:
        try:
            order: Order = parent.recv()
        except EOFError:
            return
        serve(order, works[order.work], factory, name, parent)


def die_with_parent(life: int) -> None:
    """Ends this process when the parent's end of the pipe closes, whatever it is doing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        os.read(life, 1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def serve(order: Order, work: Work, ports: PortsFactory, name: str, parent: Connection) -> None:
    """One attempt; says last how it ended: Failure, Busy, or None where all went well."""
    try:
        make(order.scratch)
        with limits(work):
            outcome = say_results(order, work, opened(ports, order.scratch, name), parent)
    except StoreBusy as busy:
        outcome = Busy(str(busy))
    finally:
        shutil.rmtree(order.scratch, ignore_errors=True)
    parent.send(outcome)


def opened(ports: PortsFactory, scratch: Path, name: str) -> WorkPorts:
    """Raises StoreFull where the stores cannot be opened for want of space."""
    try:
        return ports(scratch, name)
    except OSError as problem:
        refuse_full(problem)
        raise


def make(scratch: Path) -> None:
    """Raises StoreFull where there is no space for it."""
    try:
        scratch.mkdir(parents=True)
    except OSError as problem:
        refuse_full(problem)
        raise


def say_results(
    order: Order, work: Work, ports: WorkPorts, parent: Connection
) -> Failure | Busy | None:
    """Sends each result and waits for the word that it is durable. Raises StoreBusy."""
    for result in attempt(work, order.recorded, ports):
        if isinstance(result, Failure):
            return result
        parent.send(result)
        parent.recv()
    return None


@contextmanager
def limits(work: Work) -> Iterator[None]:
    """Memory and CPU of one attempt. Past the CPU limit the kernel ends the process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = int(usage.ru_utime + usage.ru_stime)
    cpu_s = used_s + 1 + int(work.timeout_s * CPU_CORES_MAX)
    wanted = {resource.RLIMIT_CPU: cpu_s}
    if sys.platform == "linux":
        # Elsewhere the kernel takes this limit and does not keep it.
        wanted[resource.RLIMIT_AS] = work.memory_bytes_max
    before = {kind: resource.getrlimit(kind) for kind in wanted}
    for kind, soft in wanted.items():
        hard = before[kind][1]
        resource.setrlimit(kind, (soft if hard == INFINITE else min(soft, hard), hard))
    try:
        yield
    finally:
        for kind, limit in before.items():
            resource.setrlimit(kind, limit)
