"""The running engine: acknowledgements, followers, restarts, one engine a directory."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millrace.schemas.events import ObjectSeen
from millrace.schemas.topics import DEAD_LETTERS
from millrace.sinks.ports import StoreBusy, StoreFull
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.engine import Engine
from millrace.streams.embedded.lock import DirectoryLocked
from millrace.streams.embedded.store import FILE_NAME
from tests.streams.engine.mill import (
    BATCHES,
    COUNT_TABLE,
    COUNTS,
    FLOUR,
    MILL_TOPICS,
    MILL_TOPOLOGIES,
    ORDERS,
    SACKS,
    make_order,
    make_sack,
)
from tests.streams.working.hands import bare_ports

OPTIONS = Options(topics=MILL_TOPICS, partitions=2)


@contextmanager
def running(
    data_dir: Path, workers: int = 0, options: Options = OPTIONS, expected: type | None = None
) -> Iterator[tuple[Engine, SqliteTables]]:
    crashes: list[BaseException] = []
    data_dir.mkdir(exist_ok=True)
    tables = SqliteTables(data_dir / "tables.sqlite", lambda: 0)
    engine = Engine(
        data_dir,
        MILL_TOPOLOGIES,
        tables=tables,
        ports=bare_ports,
        workers=workers,
        crashed=crashes.append,
        options=options,
    )
    engine.start()
    try:
        yield engine, tables
    finally:
        engine.close()
        tables.close()
    assert [type(crash) for crash in crashes] == ([expected] if expected else [])


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


async def all_of(engine: Engine, topic: str) -> list[Any]:
    found: list[Any] = []
    for partition in range(engine.log.partitions(topic)):
        after = -1
        while records := await engine.log.read(topic, partition, after, 500):
            found += records
            after = records[-1].offset
    return found


async def test_an_order_with_its_sacks_is_complete_milled_and_shown(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as (engine, tables):
        follower = await engine.log.follow([BATCHES.name, FLOUR.name])
        await engine.log.append(ORDERS.name, make_order())
        for number in range(2):
            await engine.log.append(SACKS.name, make_sack(number=number))
        seen = [(await anext(follower)).event for _ in range(3)]
        assert [event.reason for event in seen] == ["complete", "ground", "packed"]
        await until(lambda: tables.get(COUNT_TABLE, ("rye",)) is not None)


async def test_many_appends_share_few_commits(tmp_path: Path) -> None:
    with running(tmp_path) as (engine, _):
        appends = (engine.log.append(SACKS.name, make_sack(f"b{n}", 0)) for n in range(500))
        places = await asyncio.gather(*appends)
        assert len({(place.partition, place.offset) for place in places}) == 500
        assert engine.metrics()["millrace_commits_total"] < 100


async def test_a_second_engine_on_the_directory_is_told_who_has_it(tmp_path: Path) -> None:
    with running(tmp_path), pytest.raises(DirectoryLocked, match="in use by another millrace"):
        Engine(
            tmp_path,
            MILL_TOPOLOGIES,
            tables=SqliteTables(None, lambda: 0),
            ports=bare_ports,
            workers=0,
            crashed=lambda bug: None,
            options=OPTIONS,
        )
    with running(tmp_path):
        pass


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    with running(tmp_path) as (engine, _):
        await engine.log.append(SACKS.name, make_sack("rye", 0))
    with running(tmp_path) as (engine, tables):
        await engine.log.append(SACKS.name, make_sack("rye", 1))
        await until(lambda: shown(tables) == 2)
        assert [r.event.counted for r in await all_of(engine, COUNTS.name)] == [1, 2]
        assert engine.metrics()["millrace_projection_lag"] == 0


def shown(tables: SqliteTables) -> int:
    row = tables.get(COUNT_TABLE, ("rye",))
    return 0 if row is None else row.values["sacks"]


async def test_a_deadline_wakes_an_engine_that_waits(tmp_path: Path) -> None:
    with running(tmp_path) as (engine, _):
        follower = await engine.log.follow([BATCHES.name])
        soon_ms = time.time_ns() // 1_000_000 - 60_000 + 300
        await engine.log.append(ORDERS.name, make_order(), at_ms=soon_ms)
        recorded = await asyncio.wait_for(anext(follower), 10)
        assert recorded.at_ms == soon_ms + 60_000


async def append_until_refused(engine: Engine, acknowledged: list[int]) -> None:
    for number in range(1, 1000):
        await engine.log.append(SACKS.name, make_sack("rye" * 1000, number % 8))
        acknowledged.append(number)


async def test_a_full_disk_is_said_and_the_engine_goes_on_when_there_is_space(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as (engine, tables):
        await engine.log.append(SACKS.name, make_sack("rye", 0))
        await until(lambda: shown(tables) == 1)
        connection = engine._store.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        acknowledged: list[int] = [0]
        with pytest.raises(StoreFull):
            await append_until_refused(engine, acknowledged)
        connection.execute(f"PRAGMA max_page_count = {1 << 20}")
        await engine.log.append(SACKS.name, make_sack("rye", 1))
        await until(lambda: shown(tables) == 2)
        assert len(await all_of(engine, SACKS.name)) == len(acknowledged) + 1
        assert await all_of(engine, DEAD_LETTERS.name) == []


async def test_a_database_that_another_process_holds_is_busy_and_then_goes_on(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as (engine, tables):
        holder = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="another process"):
            await engine.log.append(SACKS.name, make_sack("rye", 0))
        holder.execute("ROLLBACK")
        holder.close()
        await engine.log.append(SACKS.name, make_sack("rye", 1))
        await until(lambda: shown(tables) == 1)


async def test_followers_may_come_and_go_while_records_are_appended(tmp_path: Path) -> None:
    with running(tmp_path) as (engine, _):

        async def look_in() -> None:
            for _ in range(200):
                await engine.log.follow([SACKS.name])
                await asyncio.sleep(0)

        async def bring(name: str) -> None:
            for number in range(50):
                await engine.log.append(SACKS.name, make_sack(name, number))

        await asyncio.gather(look_in(), *(bring(f"b{n}") for n in range(8)))
        assert engine.failure is None


async def test_appends_to_an_engine_that_closes_are_answered(tmp_path: Path) -> None:
    with running(tmp_path) as (engine, _):
        appends = [
            asyncio.create_task(engine.log.append(SACKS.name, make_sack(f"b{n}", 0)))
            for n in range(50)
        ]
        await asyncio.sleep(0)
        await asyncio.to_thread(engine.close)
        answers = await asyncio.gather(*appends, return_exceptions=True)
        assert not [answer for answer in answers if isinstance(answer, BaseException)]


async def test_a_bug_in_the_engine_is_told_and_appends_are_refused(tmp_path: Path) -> None:
    def at(point: str) -> None:
        if broken:
            raise ZeroDivisionError(point)

    broken: list[bool] = []
    options = replace(OPTIONS, at=at)
    with running(tmp_path, options=options, expected=ZeroDivisionError) as (engine, _):
        await engine.log.append(SACKS.name, make_sack())
        broken.append(True)
        with pytest.raises(StoreBusy):
            await engine.log.append(SACKS.name, make_sack("rye", 1))
        assert isinstance(engine.failure, ZeroDivisionError)
        with pytest.raises(StoreBusy):
            await engine.log.append(SACKS.name, make_sack("rye", 2))


KILLED = """
import asyncio, os, signal, sys
sys.path[:] = {path!r}
from dataclasses import replace
from pathlib import Path
from tests.streams.embedded.test_engine import OPTIONS, SACKS, make_sack, running

passed = 0
def at(point):
    global passed
    if point == {point!r}:
        passed += 1
        if passed == {times}:
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    with running(Path({data_dir!r}), options=replace(OPTIONS, at=at)) as (engine, _):
        async def one(lane):
            for number in range({number}):
                await engine.log.append(SACKS.name, make_sack("rye", lane * {number} + number))
                os.write(1, b"%d\\n" % (lane * {number} + number))
        await asyncio.gather(*(one(lane) for lane in range(4)))

asyncio.run(main())
"""


@pytest.mark.parametrize("point", ["before-write", "before-commit", "after-commit"])
async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, point: str) -> None:
    program = KILLED.format(
        path=sys.path, point=point, times=40, number=1000, data_dir=str(tmp_path)
    )
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=subprocess.PIPE
    )
    printed, _ = await killed.communicate()
    assert killed.returncode == -9
    acknowledged = {int(line) for line in printed.split()}
    assert acknowledged
    with running(tmp_path) as (engine, tables):
        records = await all_of(engine, SACKS.name)
        numbers = [int(recorded.event.upload_id) for recorded in records]
        assert acknowledged <= set(numbers)
        assert len(numbers) == len(set(numbers))
        assert isinstance(records[0].event, ObjectSeen)
        await until(lambda: shown(tables) == len(numbers))
        counts = [recorded.event.counted for recorded in await all_of(engine, COUNTS.name)]
        assert counts == list(range(1, len(numbers) + 1))
