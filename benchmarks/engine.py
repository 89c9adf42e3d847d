"""How fast the embedded engine folds, and how soon a lone record is visible.

    python -m benchmarks.engine [--json]

Folds: a keyed counter over records that are on the log already, durable, journal on, the best use
of one core; CPU seconds are the process's own. Latency: one record appended through the port, until
its row can be read. The store lies in a temporary folder on the machine's disk.
"""

import argparse
import asyncio
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import psutil

from millrace.deploy.collecting import collect_rarely
from millrace.processors.emit import Emit
from millrace.schemas import codec
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import LateView, VideoHourCounted
from millrace.schemas.topics import TOPICS, Topic, by_video
from millrace.sinks.ports import Column, Row, Table, Version
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.streams.declarations import Fold, Project, Topology, WorkPorts
from millrace.streams.embedded.core import Core, Options
from millrace.streams.embedded.engine import Engine
from millrace.streams.embedded.store import FILE_NAME, Store
from millrace.streams.embedded.submissions import Appending, Outside

RECORDS = 100_000
PAIRS = 5
SINGLES = 300


@dataclass(frozen=True, slots=True)
class Count:
    """How many records a key has had."""

    number: int = 0


def count(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
    return replace(state, number=state.number + 1) if state else Count(1), []


def count_and_say(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
    state, _ = count(state, recorded)
    return state, [Emit(TOTALS, VideoHourCounted(recorded.event.video_id, 0, state.number, 0, 0))]


def rows(recorded: Recorded[VideoHourCounted]) -> list[Row]:
    event = recorded.event
    return [Row({"name": event.video_id, "number": event.counted}, Version(0, 0))]


GRAINS = Topic("grains", (LateView,), by_video)
TOTALS = Topic("totals", (VideoHourCounted,), by_video)
TABLE = Table("totals", (Column("name", "text"),), (), (Column("number", "int"),))
QUIET = Topology("quiet", GRAINS, (Fold("count", 1, (GRAINS,), (), Count, count),))
SAYING = Topology(
    "saying",
    GRAINS,
    (
        Fold("count", 1, (GRAINS,), (TOTALS,), Count, count_and_say),
        Project("rows", TOTALS, TABLE, rows),
    ),
)
OPTIONS = Options(topics=(*TOPICS, GRAINS, TOTALS))


def grain(number: int, keys: int) -> LateView:
    return LateView(f"video-{number * 7919 % keys}", "viewer", "session", str(number), 0, 0)


@contextmanager
def filled_store(records: int, keys: int) -> Iterator[Store]:
    """A store whose log holds the records, none of them folded."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / FILE_NAME)
        core = Core(store, (), OPTIONS)
        for first in range(0, records, 5000):
            tx = core.begin()
            facts = [outside(grain(n, keys)) for n in range(first, first + 5000)]
            core.apply(tx, [Appending(facts, lambda answer: None)])
            core.commit(tx)
        yield store
        store.close()


def outside(event: LateView) -> Outside:
    return Outside(GRAINS, by_video(event), codec.encode(event), event, "", None, None)


def folds_a_second(topology: Topology, keys: int) -> tuple[float, float]:
    """(folds a wall second, folds a CPU second); every state is written, none is in memory."""
    collect_rarely()
    with filled_store(RECORDS, keys) as store:
        core = Core(store, (topology,), OPTIONS)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        while core.has_work:
            tx = core.begin()
            core.fold(tx)
            core.commit(tx)
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        folds = sum(task.transitions for task in core.tasks)
        assert folds == RECORDS
        return folds / wall_s, folds / cpu_s


def no_ports(scratch: Path, worker: str) -> WorkPorts:
    return cast("WorkPorts", None)


def raise_crash(bug: BaseException) -> None:
    raise bug


async def latencies() -> tuple[list[float], list[float]]:
    """Milliseconds to the acknowledgement, and to the visible row, of lone records."""
    acknowledged, visible = [], []
    with tempfile.TemporaryDirectory() as folder:
        tables = SqliteTables(Path(folder) / "tables.sqlite", lambda: 0)
        engine = Engine(
            Path(folder),
            (SAYING,),
            tables=tables,
            ports=no_ports,
            workers=0,
            crashed=raise_crash,
            options=OPTIONS,
        )
        engine.start()
        for number in range(SINGLES):
            started = time.perf_counter()
            await engine.log.append(GRAINS.name, grain(0, 1))
            acknowledged.append((time.perf_counter() - started) * 1000)
            while not shows(tables, number + 1):
                await asyncio.sleep(0)
            visible.append((time.perf_counter() - started) * 1000)
        engine.close()
        tables.close()
    return sorted(acknowledged), sorted(visible)


def shows(tables: SqliteTables, number: int) -> bool:
    row = tables.get(TABLE, ("video-0",))
    return row is not None and row.values["number"] == number


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and range of the runs."""

    median: float
    lowest: float
    highest: float


def spread(values: list[float]) -> Spread:
    return Spread(round(statistics.median(values)), round(min(values)), round(max(values)))


def measure() -> dict[str, Any]:
    """All figures; the runs of different kinds take turns, so that other load falls on all."""
    kinds = [(QUIET, 10_000), (SAYING, 10_000), (QUIET, 100_000)]
    runs: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(PAIRS):
        for topology, keys in kinds:
            runs.setdefault((topology.name, keys), []).append(folds_a_second(topology, keys))
    acknowledged, visible = asyncio.run(latencies())
    return {
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores, load {psutil.getloadavg()}",
        "records": RECORDS,
        "folds_a_second": {
            f"{name} counter, {keys} keys": {
                "wall": asdict(spread([wall for wall, _ in several])),
                "cpu": asdict(spread([cpu for _, cpu in several])),
            }
            for (name, keys), several in runs.items()
        },
        "acknowledged_ms": percentiles(acknowledged),
        "visible_ms": percentiles(visible),
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """Of sorted values."""
    return {"p50": round(values[len(values) // 2], 2), "p99": round(values[-len(values) // 100], 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    found = measure()
    print(json.dumps(found, indent=None if parser.parse_args().json else 2))


if __name__ == "__main__":
    main()
