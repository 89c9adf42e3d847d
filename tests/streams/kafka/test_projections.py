"""Projections over a real broker: rows that bear their record's place, whatever comes between."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from millrace.schemas import codec
from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import VideoHourCounted
from millrace.schemas.topics import DEAD_LETTERS, REDRIVES
from millrace.sinks.ports import Row, StoreBusy, Table, Version
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.streams.declarations import Project, Topology
from millrace.streams.kafka.app import Membership
from millrace.streams.kafka.work import WorkOptions
from millrace.streams.kafka.workers import Common, TopologyWorker
from tests.stack.servers import SharedServer
from tests.streams.engine.mill import COUNT_ROWS, COUNT_TABLE, COUNTS, SACKS
from tests.streams.kafka.site import Site, again, running, site_of, until

pytestmark = pytest.mark.slow
GROUP = "tallies-projections"


class BusyTables(SqliteTables):
    """Tables that are busy while they are told to be, and count what they were asked."""

    busy = False
    calls = 0
    largest = 0

    def upsert(self, table: Table, rows: Iterable[Row]) -> None:
        rows = list(rows)
        self.calls += 1
        if self.busy:
            raise StoreBusy("busy")
        self.largest = max(self.largest, len(rows))
        super().upsert(table, rows)


def tables_of() -> BusyTables:
    tables = BusyTables(None, lambda: 0)
    tables.create([COUNT_TABLE])
    return tables


def worker_of(
    site: Site,
    tables: SqliteTables,
    project: Project = COUNT_ROWS,
    decode: Callable[[bytes], Any] = codec.decode,
) -> TopologyWorker:
    options = WorkOptions(decode=decode)
    common = Common(
        site.cluster, topics=site.topics, membership=Membership(None, 1.0), options=options
    )
    return TopologyWorker(common, Topology("tallies", SACKS, (project,)), tables)


def counted(batch: str, sacks: int) -> VideoHourCounted:
    return VideoHourCounted(batch, 0, sacks, 10 * sacks, 0)


async def are_done(site: Site, count: int) -> bool:
    return sum((await site.committed(GROUP, COUNTS)).values()) == count


async def test_rows_bear_place_and_time_and_come_in_batches(kafka: SharedServer) -> None:
    tables = tables_of()
    async with site_of(kafka.address, [COUNTS], partitions=2) as site:
        for at_ms in range(1, 4):
            batch = (counted(f"b{number}", at_ms) for number in range(700))
            await site.append(COUNTS, *batch, at_ms=at_ms)
        async with running(worker_of(site, tables)):
            await until(lambda: are_done(site, 2100))
        rows = {row.values["batch"]: row for row in tables.scan(COUNT_TABLE)}
        assert len(rows) == 700
        for record in (await site.records(COUNTS))[-1:]:
            event = record.recorded.event
            version = Version(0, record.offset)
            values = {"batch": event.video_id, "sacks": 3, "size": 30}
            assert rows[event.video_id] == Row(values, version, 3)
        assert 100 < tables.largest <= 500


async def test_busy_tables_are_waited_for_and_nothing_is_acknowledged_meanwhile(
    kafka: SharedServer,
) -> None:
    tables = tables_of()
    async with site_of(kafka.address, [COUNTS]) as site:
        await site.append(COUNTS, *(counted(f"b{number}", 1) for number in range(3_000)))
        tables.busy = True
        worker = worker_of(site, tables)
        async with running(worker):
            await until(lambda: tables.calls >= 4)
            assert await site.committed(GROUP, COUNTS) == {}
            assert worker.projections[0].intake.undone <= 1_500
            tables.busy = False
            await until(lambda: are_done(site, 3_000))
        assert await site.events(DEAD_LETTERS) == []


def some_rows(recorded: Recorded[VideoHourCounted]) -> list[Row]:
    event = recorded.event
    if event.video_id == "bug":
        raise ZeroDivisionError("a bug of the projection")
    sacks: Any = "many" if event.video_id == "wrong" else event.counted
    return [Row({"batch": event.video_id, "sacks": sacks, "size": 0}, Version(0, 0))]


async def test_what_is_no_row_is_a_dead_letter_alone_and_rows_when_it_is_redriven(
    kafka: SharedServer,
) -> None:
    tables = tables_of()
    async with site_of(kafka.address, [COUNTS]) as site:
        await site.append(COUNTS, *(counted(name, 1) for name in ("a", "bug", "b", "wrong", "c")))
        await site.log.append_bytes(COUNTS.name, b"k", b"no event")
        await site.append(COUNTS, counted("d", 1))
        async with running(worker_of(site, tables, replace(COUNT_ROWS, rows=some_rows))):
            await until(lambda: are_done(site, 7))
        assert batches(tables) == ["a", "b", "c", "d"]
        letters = await site.events(DEAD_LETTERS)
        told = sorted((one.step, one.kind, one.offset) for one in letters)
        assert told == [
            ("count-rows", "parked", 1),
            ("count-rows", "parked", 3),
            ("count-rows", "record", 5),
        ]
        await site.append(REDRIVES, *map(again, letters))
        # A build without the bugs.
        async with running(worker_of(site, tables)):
            await until(lambda: batches(tables) == ["a", "b", "bug", "c", "d", "wrong"])
            await until(lambda: has_letters(site, 4))
        row = tables.get(COUNT_TABLE, ("bug",))
        assert row is not None
        assert row.version == Version(0, 1)


def batches(tables: SqliteTables) -> list[str]:
    return sorted(str(row.values["batch"]) for row in tables.scan(COUNT_TABLE))


async def has_letters(site: Site, count: int) -> bool:
    return len(await site.events(DEAD_LETTERS)) == count


class Reading:
    """Decodes, and does not know one batch for a while."""

    unknown = "newer"

    def __call__(self, value: bytes) -> Any:
        event = codec.decode(value)
        if isinstance(event, VideoHourCounted) and event.video_id == self.unknown:
            raise UnknownFingerprint("from the future")
        if event is None:
            raise BadRecord("nothing")
        return event


async def test_an_event_of_a_newer_build_holds_up_its_partition_alone_until_it_can_be_read(
    kafka: SharedServer,
) -> None:
    tables, reading = tables_of(), Reading()
    async with site_of(kafka.address, [COUNTS], partitions=2) as site:
        ((_, here, _, _),) = await site.append(COUNTS, counted("newer", 1))
        names = [f"b{number}" for number in range(12)]
        appended = await site.append(COUNTS, *(counted(name, 1) for name in names))
        behind = sum(one.partition == here for one in appended)
        assert 0 < behind < 12
        worker = worker_of(site, tables, decode=reading)
        async with running(worker):
            await until(lambda: len(batches(tables)) == 12 - behind)
            metrics = worker.app.metrics.snapshot()
            name = f'millrace_projection_stopped{{partition="{here}",step="count-rows"}}'
            assert metrics[name] == 1
            reading.unknown = ""
            await until(lambda: len(batches(tables)) == 13)
            await until(lambda: are_done(site, 13))
            assert worker.app.metrics.snapshot()[name] == 0
