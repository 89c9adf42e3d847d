"""Works in real processes: whatever one does, it costs one attempt and nobody else."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from millrace.schemas.events import DeletionRequested
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.streams import points
from millrace.streams.declarations import Topology, Work
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.engine import Engine
from millrace.streams.points import At
from tests.streams.engine.mill import FLOUR, MILL, MILL_TOPICS, MILLING
from tests.streams.working.hands import bare_ports, misbehave

Said = tuple[str, str]


def work(timeout_s: float = 20.0) -> Work:
    return replace(MILL, do=misbehave, timeout_s=timeout_s, memory_bytes_max=1 << 30)


@contextmanager
def engine_of(
    data_dir: Path, mill: Work, workers: int = 1, at: At = points.nowhere
) -> Iterator[Engine]:
    crashes: list[BaseException] = []
    engine = Engine(
        data_dir,
        (Topology("ordering", MILLING, (mill,)),),
        tables=SqliteTables(None, lambda: 0),
        ports=bare_ports,
        workers=workers,
        crashed=crashes.append,
        options=Options(topics=MILL_TOPICS, partitions=1, at=at),
    )
    engine.start()
    try:
        yield engine
    finally:
        engine.close()
    assert crashes == []


async def ask(engine: Engine, name: str, reason: str) -> None:
    await engine.log.append(MILLING.name, DeletionRequested(name, reason, ()))


async def said(engine: Engine, number: int) -> list[Said]:
    """The first results on the log, as many as asked for."""
    follower = await engine.log.follow([FLOUR.name])
    before = await engine.log.read(FLOUR.name, 0, -1, 1000)
    found = [(r.event.video_id, r.event.reason) for r in before]  # type: ignore[attr-defined]
    last = before[-1].offset if before else -1
    async with asyncio.timeout(30):
        while len(found) < number:
            recorded = await anext(follower)
            if recorded.offset > last:
                found.append((recorded.event.video_id, recorded.event.reason))
    return found


@pytest.mark.parametrize(
    ("reason", "code", "timeout_s"),
    [
        ("die", "worker_lost", 20.0),
        ("fault", "worker_lost", 20.0),
        ("sleep", "timeout", 0.5),
        ("spin", "timeout", 0.5),
        ("eat", "out_of_memory", 20.0),
    ],
)
async def test_a_work_that_goes_wrong_fails_alone(
    tmp_path: Path, reason: str, code: str, timeout_s: float
) -> None:
    with engine_of(tmp_path, work(timeout_s)) as engine:
        await ask(engine, "bad", reason)
        await ask(engine, "good", "go")
        assert await said(engine, 4) == [
            ("bad", "started"),
            ("bad", code),
            ("good", "started"),
            ("good", "done"),
        ]
        await settled(engine)


async def settled(engine: Engine) -> None:
    """Until every request is marked done."""
    await until(lambda: engine.core.board.unfinished == 0)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_busy_store_is_waited_for_and_costs_no_attempt(tmp_path: Path) -> None:
    with engine_of(tmp_path, work()) as engine:
        await ask(engine, "rye", "busy")
        assert await said(engine, 3) == [("rye", "started"), ("rye", "started"), ("rye", "done")]


@pytest.mark.parametrize("reason", ["full", "full-said-otherwise"])
async def test_a_full_scratch_disk_is_waited_for_and_costs_no_attempt(
    tmp_path: Path, reason: str
) -> None:
    with engine_of(tmp_path, work()) as engine:
        await ask(engine, "rye", reason)
        assert await said(engine, 3) == [("rye", "started"), ("rye", "started"), ("rye", "done")]


async def test_the_clock_of_a_work_stops_while_it_waits_for_its_acknowledgement(
    tmp_path: Path,
) -> None:
    gate = Gate()
    with engine_of(tmp_path, work(timeout_s=1.0), at=gate.at) as engine:
        await until(lambda: engine._pool.has_idle)
        await ask(engine, "rye", "go")
        await until(gate.waiting.is_set)
        await asyncio.sleep(1.5)
        gate.open.set()
        assert await said(engine, 2) == [("rye", "started"), ("rye", "done")]


async def test_a_result_is_on_the_log_before_the_work_goes_on(tmp_path: Path) -> None:
    with engine_of(tmp_path, work(timeout_s=0.7)) as engine:
        await ask(engine, "rye", "sleep")
        assert await said(engine, 1) == [("rye", "started")]
        assert engine.core.board.unfinished == 1


async def test_scratch_folders_are_gone_afterwards_even_of_a_worker_that_died(
    tmp_path: Path,
) -> None:
    with engine_of(tmp_path, work()) as engine:
        await ask(engine, "a", "litter")
        await ask(engine, "b", "die")
        await said(engine, 4)
        await settled(engine)
        assert list((tmp_path / "scratch").iterdir()) == []


async def test_requests_go_to_all_workers_at_once(tmp_path: Path) -> None:
    with engine_of(tmp_path, work(timeout_s=0.7), workers=2) as engine:
        await until(lambda: len(engine._pool._idle) == 2)
        for name in "ab":
            await ask(engine, name, "sleep")
        found = await said(engine, 4)
        assert {name for name, _ in found[:2]} == {"a", "b"}


async def test_what_was_in_hand_when_the_engine_closed_is_done_by_the_next(
    tmp_path: Path,
) -> None:
    with engine_of(tmp_path, work()) as engine:
        await ask(engine, "rye", "busy")
        await ask(engine, "oat", "sleep")
        await until(lambda: len(processes()) > 0)
    assert processes() == []
    with engine_of(tmp_path, work(timeout_s=0.5)) as engine:
        found = await said(engine, 2)
        assert ("rye", "done") in found or ("oat", "started") in found
        await settled(engine)


def processes() -> list[psutil.Process]:
    """Worker processes of this test's process, those that have just ended left out."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "working.worker" in " ".join(child.cmdline()):
                found.append(child)
    return found


async def test_a_worker_that_died_idle_is_replaced(tmp_path: Path) -> None:
    with engine_of(tmp_path, work()) as engine:
        await until(lambda: engine._pool.has_idle)
        (worker,) = processes()
        os.kill(worker.pid, signal.SIGKILL)
        await until(lambda: [p.pid for p in processes()] not in ([], [worker.pid]))
        await ask(engine, "rye", "go")
        assert (await said(engine, 2))[-1] == ("rye", "done")


async def test_a_pool_that_waits_uses_no_cpu(tmp_path: Path) -> None:
    with engine_of(tmp_path, work(), workers=2) as engine:
        await until(lambda: len(engine._pool._idle) == 2)
        everybody = [psutil.Process(), *processes()]
        before = [spent(process) for process in everybody]
        await asyncio.sleep(1.5)
        used = [spent(process) - was for process, was in zip(everybody, before, strict=True)]
        assert sum(used) <= 0.03, used


def spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


PARENT = """
import asyncio, sys
sys.path[:] = {path!r}
from pathlib import Path
from tests.streams.working.test_workpool import ask, engine_of, processes, said, work

async def main():
    with engine_of(Path({data_dir!r}), work(), workers=2) as engine:
        await ask(engine, "a", "spin")
        await ask(engine, "b", "sleep")
        await said(engine, 2)
        print(*[process.pid for process in processes()], flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_workers_end_with_an_engine_that_is_killed_whatever_they_are_doing(
    tmp_path: Path,
) -> None:
    program = PARENT.format(path=sys.path, data_dir=str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    gone, alive = psutil.wait_procs(workers, timeout=5)
    for process in alive:
        process.kill()
    assert len(gone) == 2
    assert alive == []


class Gate:
    """Holds the engine's thread before its second commit for as long as a test wants."""

    def __init__(self) -> None:
        self.commits = 0
        self.open = threading.Event()
        self.waiting = threading.Event()

    def at(self, point: str) -> None:
        if point == points.BEFORE_COMMIT:
            self.commits += 1
            if self.commits == 2:
                self.waiting.set()
                self.open.wait(20)


async def test_a_work_goes_on_only_when_its_result_is_durable(tmp_path: Path) -> None:
    gate = Gate()
    with engine_of(tmp_path, work(), at=gate.at) as engine:
        await until(lambda: engine._pool.has_idle)
        # The first commit is the request's, the second its first result's.
        await ask(engine, "rye", "mark")
        await until(gate.waiting.is_set)
        await asyncio.sleep(0.3)
        mark = tmp_path / "scratch" / "went-on"
        assert not mark.exists()
        gate.open.set()
        await until(mark.exists)
        await settled(engine)
