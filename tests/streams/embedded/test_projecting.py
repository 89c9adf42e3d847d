"""Projections: rows bear their record's place, and come again after a crash without harm."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from millrace.schemas import codec
from millrace.schemas.codec import UnknownFingerprint
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import DeadLettered, RedriveRequested
from millrace.schemas.topics import DEAD_LETTERS, REDRIVES, WAITING
from millrace.sinks.ports import Column, Row, StoreBusy, Table, Version
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.sinks.tables import version_of_first
from millrace.streams import points
from millrace.streams.declarations import Project, Topology
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.driver import Driver
from tests.streams.engine.mill import (
    COUNT_ROWS,
    COUNT_TABLE,
    COUNTER,
    MILL_TOPICS,
    ORDERING,
    ORDERS,
    SACKS,
    TALLIES,
    make_order,
    make_sack,
)


class BusyTables(SqliteTables):
    """Tables that are busy as often as they are told."""

    busy = 0

    def upsert(self, table: Table, rows: Iterable[Row]) -> None:
        if self.busy:
            self.busy -= 1
            raise StoreBusy("busy")
        super().upsert(table, rows)


def driver_of(topology: Topology = TALLIES, **options: Any) -> tuple[Driver, BusyTables]:
    tables = BusyTables(None, lambda: 0)
    chosen = replace(Options(topics=MILL_TOPICS, partitions=1), **options)
    return Driver((topology,), tables=tables, options=chosen), tables


def test_a_row_bears_the_offset_and_the_time_of_its_record() -> None:
    driver, tables = driver_of()
    driver.pipe(SACKS, make_sack(number=0), at_ms=5)
    driver.pipe(SACKS, make_sack(number=1), at_ms=6)
    driver.settle()
    row = tables.get(COUNT_TABLE, ("rye",))
    assert row == Row({"batch": "rye", "sacks": 2, "size": 20}, Version(0, 1), 6)


def test_a_row_that_the_first_record_makes_is_replaced_by_no_later_one() -> None:
    first = tuple(
        replace(step, first_counts=True) if isinstance(step, Project) else step
        for step in TALLIES.steps
    )
    driver, tables = driver_of(replace(TALLIES, steps=first))
    driver.pipe(SACKS, make_sack(number=0))
    driver.settle()
    driver.pipe(SACKS, make_sack(number=1))
    driver.settle()
    row = tables.get(COUNT_TABLE, ("rye",))
    assert row is not None
    assert (row.values["sacks"], row.version) == (1, version_of_first(0))


def test_rows_are_written_before_the_position_and_again_after_a_crash_between() -> None:
    class Stop(Exception):
        pass

    def at(point: str) -> None:
        if point == points.ROWS_WRITTEN and not stopped:
            stopped.append(True)
            raise Stop

    stopped: list[bool] = []
    driver, tables = driver_of(at=at)
    driver.pipe(SACKS, make_sack())
    driver.transact()
    with pytest.raises(Stop):
        driver.project()
    assert tables.get(COUNT_TABLE, ("rye",)) is not None
    driver.reopen()
    assert driver.projector is not None
    assert driver.projector.lag == 1
    driver.settle()
    driver.reopen()
    assert driver.projector.lag == 0
    assert len(list(tables.scan(COUNT_TABLE))) == 1


def test_busy_tables_are_asked_again_and_nothing_is_lost() -> None:
    driver, tables = driver_of()
    driver.pipe(SACKS, make_sack())
    driver.transact()
    tables.busy = 1
    with pytest.raises(StoreBusy):
        driver.project()
    assert driver.project()
    assert tables.get(COUNT_TABLE, ("rye",)) is not None


def test_the_end_of_a_waiting_key_is_projected_as_a_deletion() -> None:
    table = Table("waits", (Column("key", "bytes"),), (), (Column("what", "text"),))

    def rows(recorded: Recorded[Any]) -> list[Row]:
        event = recorded.event
        values = {"key": recorded.key, "what": event.waits_for if event else None}
        return [Row(values, Version(0, 0), deleted=event is None)]

    project = Project("wait-rows", WAITING, table, rows)
    driver, tables = driver_of(replace(ORDERING, steps=(*ORDERING.folds, project)))
    driver.pipe(ORDERS, make_order(wanted=1))
    driver.settle()
    key = b"ordering/join/rye"
    found = tables.get(table, (key,))
    assert found is not None
    assert found.values["what"] == "1 sacks"
    driver.pipe(SACKS, make_sack())
    driver.settle()
    assert tables.get(table, (key,)) is None


def test_a_record_from_the_future_stops_its_projection_until_the_build_knows_it() -> None:
    def decode(data: bytes) -> Any:
        if unknown:
            raise UnknownFingerprint("0" * 16)
        return codec.decode(data)

    unknown: list[bool] = []
    project = replace(COUNT_ROWS, reads=SACKS, rows=lambda recorded: [])
    driver, _ = driver_of(replace(TALLIES, steps=(project,)), decode=decode)
    driver.pipe_bytes(SACKS, b"rye", codec.encode(make_sack()))
    unknown.append(True)
    driver.settle()
    name = 'millrace_projection_stopped{partition="0",step="count-rows"}'
    assert driver.core.metrics.snapshot()[name] == 1
    unknown.clear()
    driver.settle()
    assert driver.core.metrics.snapshot()[name] == 0


def letters(driver: Driver) -> list[DeadLettered]:
    return driver.events(DEAD_LETTERS)


@pytest.mark.parametrize("wrong", [{}, {"batch": "oat", "grain": 1}, None])
def test_a_projection_that_fails_on_one_record_goes_on_with_the_others(wrong: Any) -> None:
    def rows(recorded: Recorded[Any]) -> list[Row]:
        if recorded.event.video_id == "oat" and broken:
            if wrong is None:
                raise ZeroDivisionError
            return [Row(wrong, Version(0, 0))]
        return COUNT_ROWS.rows(recorded)

    broken = [True]
    topology = replace(TALLIES, steps=(COUNTER, replace(COUNT_ROWS, rows=rows)))
    driver, tables = driver_of(topology)
    for name in ("rye", "oat", "wheat"):
        driver.pipe(SACKS, make_sack(name))
    driver.settle()
    (letter,) = letters(driver)
    assert (letter.kind, letter.step, letter.offset) == ("parked", "count-rows", 1)
    assert tables.get(COUNT_TABLE, ("wheat",)) is not None
    assert tables.get(COUNT_TABLE, ("oat",)) is None
    broken.clear()
    wanted = RedriveRequested(
        letter.letter_id,
        letter.topology,
        letter.step,
        letter.kind,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.key,
    )
    driver.pipe(REDRIVES, wanted)
    driver.settle()
    assert tables.get(COUNT_TABLE, ("oat",)) is not None
