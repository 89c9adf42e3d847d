"""Lane workers as processes: killed, told to end, stopped and woken; every request is done."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from millrace.schemas.events import DeletionRequested
from millrace.schemas.partitioning import partition_of
from millrace.streams import points
from tests.stack.servers import SharedServer
from tests.streams.engine.mill import FLOUR, MILLING
from tests.streams.kafka.site import Site, site_of, until

pytestmark = pytest.mark.slow
TOPICS = (MILLING, FLOUR)
ROOT = Path(__file__).resolve().parents[3]


class Workers:
    """Starts worker processes of one site, and ends what a test leaves."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._folder = folder
        self._number = count()
        self.all: list[asyncio.subprocess.Process] = []

    async def start(self, *options: str) -> asyncio.subprocess.Process:
        """Returns when it has its partitions, or is dead."""
        cluster = self._site.cluster
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.streams.kafka.lane_program",
            cluster.bootstrap,
            cluster.prefix,
            f"--partitions={cluster.partitions}",
            f"--session-ms={cluster.session_timeout_ms}",
            f"--scratch={self._folder / str(next(self._number))}",
            *options,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        self.all.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(30):
            await process.stdout.readline()
        return process


@asynccontextmanager
async def workers_of(site: Site, folder: Path) -> AsyncIterator[Workers]:
    workers = Workers(site, folder)
    try:
        yield workers
    finally:
        for process in workers.all:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def ask(site: Site, seconds: float, *names: str) -> None:
    await site.append(MILLING, *(DeletionRequested(name, str(seconds), ()) for name in names))


async def told(site: Site, what: str) -> Counter[str]:
    """How often each request was said to have begun, or to be done."""
    return Counter(e.video_id for e in await site.events(FLOUR) if e.reason == what)


async def are_done(site: Site, requests: int) -> bool:
    return sum((await site.committed(MILLING.name, MILLING)).values()) == requests


async def ended(process: asyncio.subprocess.Process, within_s: float = 20.0) -> int:
    async with asyncio.timeout(within_s):
        return await process.wait()


async def test_killed_at_any_point_of_a_request_no_request_is_lost_and_each_result_is_one(
    kafka: SharedServer, tmp_path: Path
) -> None:
    names = [f"v{number}" for number in range(40)]
    async with (
        site_of(kafka.address, TOPICS, partitions=2) as site,
        workers_of(site, tmp_path) as workers,
    ):
        await ask(site, 0.01, *names)
        for point in (
            points.WORK_TAKEN,
            points.WORK_EMITTED,
            points.WORK_BEFORE_DONE,
            points.WORK_DONE,
        ):
            # A permanent name: the next one need not wait until the session of the dead is over.
            process = await workers.start("--instance=a", f"--die-at={point}", "--hits=5")
            assert await ended(process) == -signal.SIGKILL
        last = await workers.start("--instance=a")
        await until(lambda: are_done(site, 40))
        last.terminate()
        assert await ended(last) == 0
        assert set(await told(site, "done")) == set(names)
        ids = {(r.id, r.recorded.event.video_id) for r in await site.records(FLOUR)}
        assert len(ids) == 2 * len(names)


async def test_a_worker_that_is_told_to_end_ends_what_it_can_and_hands_back_what_takes_too_long(
    kafka: SharedServer, tmp_path: Path
) -> None:
    # What is done behind a request that is not done is said again, so it has its own partition.
    beside = partition_of(b"long", 2)
    names = [name for name in map(str, range(20)) if partition_of(name.encode(), 2) != beside][:8]
    async with (
        site_of(kafka.address, TOPICS, partitions=2) as site,
        workers_of(site, tmp_path) as workers,
    ):
        await ask(site, 4, "long")
        await ask(site, 0.3, *names)
        first = await workers.start("--instance=a")
        await until(lambda: has_begun(site, 3))
        first.terminate()
        assert await ended(first, 5.0) == 0
        before = await told(site, "started")
        assert before == await told(site, "done") + Counter(["long"])
        assert 3 <= len(before) < len(names)
        await workers.start("--instance=a")
        await until(lambda: are_done(site, len(names) + 1))
        # Nothing that was done is done again.
        assert await told(site, "started") == Counter(["long", "long", *names])
        assert await told(site, "done") == Counter(["long", *names])


async def has_begun(site: Site, requests: int) -> bool:
    return len(await told(site, "started")) >= requests


async def test_a_worker_that_slept_past_its_session_changes_nothing_when_it_wakes_and_goes_on(
    kafka: SharedServer, tmp_path: Path
) -> None:
    names = [f"v{number}" for number in range(40)]
    async with (
        site_of(kafka.address, TOPICS, partitions=2, session_timeout_ms=2_000) as site,
        workers_of(site, tmp_path) as workers,
    ):
        sleeper = await workers.start()
        other = await workers.start()
        await ask(site, 0.1, *names)
        await until(lambda: has_begun(site, 8))
        sleeper.send_signal(signal.SIGSTOP)
        await until(lambda: are_done(site, len(names)))
        assert set(await told(site, "done")) == set(names)
        sleeper.send_signal(signal.SIGCONT)
        other.terminate()
        assert await ended(other) == 0
        await ask(site, 0.01, "afterwards-1", "afterwards-2", "afterwards-3")
        await until(lambda: are_done(site, len(names) + 3))
        sleeper.terminate()
        assert await ended(sleeper) == 0
