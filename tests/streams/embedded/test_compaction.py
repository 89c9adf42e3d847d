"""Compaction lets go of nothing that somebody has yet to read, and waits where the disk is full."""

import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from millrace.sinks.ports import Column, Row, StoreBusy, StoreFull, Table, Version
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.streams.declarations import Project, Topology
from millrace.streams.embedded.compaction import RECORDS_MIN
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.driver import Driver
from tests.streams.embedded.failing_disk import FailingDisk, store_on
from tests.streams.embedded.test_log import append_many
from tests.streams.engine.mill import (
    COUNTER,
    MILL_TOPICS,
    SACKS,
)

COMPACTED = replace(SACKS, cleanup="compact")
TOPICS = tuple(COMPACTED if topic is SACKS else topic for topic in MILL_TOPICS)
OPTIONS = Options(topics=TOPICS, partitions=1)
# One key, many values: the log of a row that changed.
SEEN = Table("seen", (Column("batch", "text"), Column("number", "text")), (), ())


def rows(recorded: Any) -> list[Row]:
    values = {"batch": recorded.event.video_id, "number": recorded.event.upload_id}
    return [Row(values, Version(0, 0))]


FOLD = replace(COUNTER, reads=(COMPACTED,))
PROJECT = Project("seen-rows", COMPACTED, SEEN, rows)


def driver_of(*steps: Any, disk: FailingDisk | None = None) -> Driver:
    return Driver(
        (Topology("tallies", COMPACTED, steps),),
        tables=SqliteTables(None, lambda: 0),
        options=OPTIONS,
        store=store_on(disk or FailingDisk()),
    )


def bring(driver: Driver, number: int) -> None:
    append_many(driver.core, number, lambda n: "rye")


def numbers(driver: Driver) -> list[int]:
    return [record.offset for record in driver.records(COMPACTED)]


def test_a_projection_that_lags_still_sees_every_record() -> None:
    driver = driver_of(PROJECT)
    bring(driver, RECORDS_MIN)
    assert driver.core.compactor.run() == 0
    driver.reopen()
    driver.settle()
    assert driver.projector is not None
    assert driver.projector.lag == 0
    bring(driver, RECORDS_MIN)
    assert driver.core.compactor.run() == RECORDS_MIN - 1
    assert len(numbers(driver)) == RECORDS_MIN + 1


def test_a_fold_that_lags_still_sees_every_record() -> None:
    driver = driver_of(FOLD)
    bring(driver, RECORDS_MIN)
    assert driver.core.compactor.run() == 0
    assert len(numbers(driver)) == RECORDS_MIN


@pytest.mark.parametrize(
    ("code", "problem"),
    [(sqlite3.SQLITE_FULL, StoreFull), (sqlite3.SQLITE_BUSY, StoreBusy)],
)
@pytest.mark.parametrize("fails_on", ["SELECT place, key", "DELETE FROM records"])
def test_a_full_disk_while_compacting_is_said_as_such_and_tried_again(
    code: int, problem: type[StoreBusy], fails_on: str
) -> None:
    disk = FailingDisk(code)
    driver = driver_of(disk=disk)
    bring(driver, RECORDS_MIN)
    disk.fails_on = fails_on
    with pytest.raises(problem):
        driver.core.compactor.run()
    disk.fails_on = None
    assert driver.core.compactor.is_due
    assert driver.core.compactor.run() == RECORDS_MIN - 1
