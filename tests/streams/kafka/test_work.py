"""The works of a lane over a real broker, done by real processes."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millrace.processors.emit import Emit
from millrace.schemas import codec, ids
from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    DeletionRequested,
    ObjectsDeleted,
)
from millrace.schemas.partitioning import partition_of
from millrace.schemas.topics import DEAD_LETTERS, REDRIVES
from millrace.sinks.ports import StoreBusy
from millrace.streams.declarations import Topology, Work, WorkPorts
from millrace.streams.kafka.app import Membership
from millrace.streams.kafka.work import WorkOptions
from millrace.streams.kafka.workers import LANE_READING, Common, LaneWorker
from tests.stack.servers import SharedServer
from tests.streams.engine.mill import FLOUR, MILL, MILLING
from tests.streams.kafka.site import Site, again, running, site_of, until
from tests.streams.working.hands import bare_ports, misbehave, take_long

pytestmark = pytest.mark.slow
TOPICS = (MILLING, FLOUR)


def worker_of(
    site: Site,
    scratch: Path,
    *works: Work,
    processes: int = 2,
    decode: Callable[[bytes], Any] = codec.decode,
) -> LaneWorker:
    works = works or (replace(MILL, do=misbehave, timeout_s=1.0, memory_bytes_max=1 << 30),)
    topology = Topology("ordering", MILLING, works)
    common = Common(
        site.cluster,
        topics=site.topics,
        membership=Membership(None, 1.0),
        options=WorkOptions(decode=decode),
    )
    return LaneWorker(common, MILLING, [topology], bare_ports, processes, scratch)


async def ask(site: Site, *pairs: tuple[str, str]) -> None:
    await site.append(MILLING, *(DeletionRequested(name, what, ()) for name, what in pairs))


async def said(site: Site) -> list[tuple[str, str]]:
    return [(event.video_id, event.reason) for event in await site.events(FLOUR)]


async def are_done(site: Site, count: int) -> bool:
    """Whether so many requests are acknowledged for good."""
    positions = await site.committed(MILLING.name, MILLING)
    return sum(positions.values()) == count


async def test_whatever_a_work_does_costs_its_own_attempt_and_nobody_else(
    kafka: SharedServer, tmp_path: Path
) -> None:
    wanted = {
        "die": "worker_lost",
        "fault": "worker_lost",
        "sleep": "timeout",
        "spin": "timeout",
        "eat": "out_of_memory",
        "busy": "done",
        "full": "done",
        "go": "done",
    }
    async with site_of(kafka.address, TOPICS, partitions=2) as site:
        await ask(site, *((what, what) for what in wanted))
        worker = worker_of(site, tmp_path / "scratch")
        async with running(worker):
            await until(lambda: are_done(site, len(wanted)), 30)
        ends = [(name, what) for name, what in await said(site) if what != "started"]
        assert sorted(ends) == sorted(wanted.items())
        assert list(tmp_path.iterdir()) == []


async def test_results_bear_the_ids_and_the_envelope_that_the_embedded_engine_gives(
    kafka: SharedServer, tmp_path: Path
) -> None:
    async with site_of(kafka.address, TOPICS) as site:
        await ask(site, ("oat", "go"), ("bug", "go"))
        asked = await site.records(MILLING)
        async with running(worker_of(site, tmp_path / "s", MILL)):
            await until(lambda: are_done(site, 2))
        found = {record.id: record for record in await site.records(FLOUR)}
        first, second = (record.id or "" for record in asked)
        assert set(found) == {
            ids.caused("mill", first, 0),
            ids.caused("mill", first, 1),
            ids.caused("mill", second, 0),
            ids.caused("mill/failed", second, 0),
        }
        record = found[ids.caused("mill", first, 1)]
        assert record.origin == "mill milling 0 0 1"
        assert record.cause == first
        assert record.at_ms is not None
        assert abs(record.at_ms - record.append_ms) < 5_000


class Reading:
    """Decodes, and does not know or refuses what it is told to."""

    def __init__(self, unknown: str = "", bad: str = "") -> None:
        self.unknown = unknown
        self.bad = bad

    def __call__(self, value: bytes) -> Any:
        event = codec.decode(value)
        name = event.video_id if isinstance(event, DeletionRequested) else ""
        if name == self.unknown:
            raise UnknownFingerprint("from the future")
        if name == self.bad:
            raise BadRecord("not today")
        return event


async def test_an_event_of_a_newer_build_waits_and_is_taken_up_when_its_schema_is_there(
    kafka: SharedServer, tmp_path: Path
) -> None:
    reading = Reading(unknown="newer")
    async with site_of(kafka.address, TOPICS) as site:
        await ask(site, ("oat", "go"), ("newer", "go"), ("rye", "go"))
        worker = worker_of(site, tmp_path / "s", decode=reading)
        async with running(worker):
            await until(lambda: are_done(site, 1))
            worker.gauges()
            metrics = worker.app.metrics.snapshot()
            assert metrics['millrace_work_stopped{work="mill"}'] == 1
            assert metrics['millrace_group_lag{group="milling",topic="milling"}'] == 2
            assert {name for name, _ in await said(site)} == {"oat"}
            reading.unknown = ""
            await until(lambda: are_done(site, 3))
        done = [name for name, what in await said(site) if what == "done"]
        assert sorted(done) == ["newer", "oat", "rye"]
        assert await site.events(DEAD_LETTERS) == []


async def test_a_bad_record_is_a_dead_letter_and_is_done_when_it_is_redriven(
    kafka: SharedServer, tmp_path: Path
) -> None:
    reading = Reading(bad="rye")
    async with site_of(kafka.address, TOPICS) as site:
        await site.log.append_bytes(MILLING.name, b"k", b"no request")
        await ask(site, ("rye", "go"), ("oat", "go"))
        worker = worker_of(site, tmp_path / "s", decode=reading)
        async with running(worker):
            await until(lambda: are_done(site, 3))
            letters = await site.events(DEAD_LETTERS)
            assert [(letter.step, letter.offset) for letter in letters] == [
                ("mill", 0),
                ("mill", 1),
            ]
            assert {name for name, _ in await said(site)} == {"oat"}
            reading.bad = ""
            await site.append(REDRIVES, *map(again, letters))
            await until(lambda: has_letters(site, 3))
            await until(lambda: has_said(site, ("rye", "done")))
        last = (await site.events(DEAD_LETTERS))[-1]
        assert last.reason == "this build cannot read the record either"


async def has_letters(site: Site, count: int) -> bool:
    return len(await site.events(DEAD_LETTERS)) == count


async def has_said(site: Site, pair: tuple[str, str]) -> bool:
    return pair in await said(site)


def busy_at_first(recorded: Recorded[DeletionRequested], ports: WorkPorts) -> Iterator[Emit]:
    """The store is busy until a file says that it is not."""
    mark = ports.scratch.parent.parent / "store-is-back"
    attempts = ports.scratch.parent.parent / "attempts"
    with attempts.open("a") as told:
        told.write(".")
    if not mark.exists():
        raise StoreBusy("away")
    yield Emit(FLOUR, ObjectsDeleted(recorded.event.video_id, "done", 0))


async def test_a_backlog_waits_for_a_busy_store_and_no_request_multiplies(
    kafka: SharedServer, tmp_path: Path
) -> None:
    count = 300
    async with site_of(kafka.address, TOPICS) as site:
        await ask(site, *((f"v{number}", "go") for number in range(count)))
        worker = worker_of(site, tmp_path / "s", replace(MILL, do=busy_at_first))
        async with running(worker):
            await until((tmp_path / "attempts").exists)
            await until(lambda: worker.lane.known >= LANE_READING.open_max)
            tried = (tmp_path / "attempts").stat().st_size
            await until(lambda: (tmp_path / "attempts").stat().st_size > tried + 20)
            most = LANE_READING.open_max + LANE_READING.poll_records
            assert worker.lane.known <= most
            assert await site.committed(MILLING.name, MILLING) == {}
            assert await said(site) == []
            (tmp_path / "store-is-back").touch()
            await until(lambda: are_done(site, count))
        assert sorted(await said(site)) == sorted((f"v{n}", "done") for n in range(count))


def unwanted(recorded: Recorded[Any], ports: WorkPorts) -> bool:
    return bool(recorded.event.video_id != "cancelled")


async def test_nobody_works_on_what_nobody_wants_any_more(
    kafka: SharedServer, tmp_path: Path
) -> None:
    async with site_of(kafka.address, TOPICS) as site:
        await ask(site, ("cancelled", "go"), ("oat", "go"))
        work = replace(MILL, still_wanted=unwanted)
        async with running(worker_of(site, tmp_path / "s", work)):
            await until(lambda: are_done(site, 2))
        assert {name for name, _ in await said(site)} == {"oat"}


async def test_works_of_one_lane_hold_no_more_slots_than_they_may_and_take_their_own_types(
    kafka: SharedServer, tmp_path: Path
) -> None:
    async with site_of(kafka.address, TOPICS) as site:
        await ask(site, ("a", "sleep"), ("b", "sleep"), ("c", "go"))
        slow = replace(MILL, do=misbehave, timeout_s=1.5, slots=1)
        other = replace(MILL, name="other", takes=(ObjectsDeleted,))
        worker = worker_of(site, tmp_path / "s", slow, other, processes=2)
        async with running(worker):
            await until(lambda: has_said(site, ("a", "started")))
            worker.gauges()
            assert worker.app.metrics.snapshot()['millrace_work_in_hand{work="mill"}'] == 1
            await until(lambda: are_done(site, 3))
        assert ("c", "done") in await said(site)


async def test_what_is_in_hand_goes_on_where_its_partition_comes_back_and_is_called_off_else(
    kafka: SharedServer, tmp_path: Path
) -> None:
    async with site_of(kafka.address, TOPICS, 2, session_timeout_ms=8_000) as site:
        long = replace(MILL, do=take_long, timeout_s=60.0)
        # One for each partition.
        names = {partition_of(name.encode(), 2): name for name in "abcdefgh"}
        await ask(site, *((name, "5") for name in names.values()))
        first = worker_of(site, tmp_path / "1", long)
        async with running(first):
            await until(lambda: have_begun(site, 2))
            second = worker_of(site, tmp_path / "2", long)
            async with running(second):
                await until(lambda: are_done(site, 2))
        begun = Counter(name for name, what in await said(site) if what == "started")
        done = [name for name, what in await said(site) if what == "done"]
        assert sorted(begun.values()) == [1, 2]
        assert sorted(done) == sorted(names.values())
        assert first.app.metrics.snapshot()["millrace_work_handed_back_total"] == 2


async def have_begun(site: Site, count: int) -> bool:
    return sum(what == "started" for _, what in await said(site)) == count
