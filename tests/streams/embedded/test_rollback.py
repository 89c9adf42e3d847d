"""A transaction that failed before its commit leaves nothing in memory, whatever failed."""

from typing import Any

import pytest

from millrace.schemas import codec
from millrace.sinks.ports import StoreBusy, StoreFull
from millrace.streams.declarations import Topology
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.driver import Driver
from millrace.streams.embedded.submissions import Appending, Outside
from tests.streams.embedded.failing_disk import FailingDisk, store_on
from tests.streams.engine.mill import (
    BATCHES,
    COUNTER,
    COUNTS,
    GIVE_UP_MS,
    MILL_TOPICS,
    ORDERING,
    ORDERS,
    SACKS,
    make_order,
    make_sack,
)

FOLDS = Topology("tallies", SACKS, (COUNTER,))


def driver_on(disk: FailingDisk, topology: Topology = FOLDS) -> Driver:
    return Driver(
        (topology,), options=Options(topics=MILL_TOPICS, partitions=1), store=store_on(disk)
    )


def appending(answers: list[Any], batch: str = "rye", number: int = 1) -> Appending:
    event = make_sack(batch, number)
    fact = Outside(SACKS, SACKS.key(event), codec.encode(event), event, "", None, None)
    return Appending([fact], answers.append)


@pytest.mark.parametrize("fails_on", ["FROM records", "FROM states"])
def test_an_append_that_was_refused_is_nowhere(fails_on: str) -> None:
    disk = FailingDisk()
    driver = driver_on(disk)
    driver.pipe(SACKS, make_sack("rye", 0))
    driver.reopen()
    disk.fails_on = fails_on
    answers: list[Any] = []
    with pytest.raises(StoreFull):
        driver.transact([appending(answers)])
    assert [type(answer) for answer in answers] == [StoreFull]
    disk.fails_on = None
    driver.settle()
    assert [event.upload_id for event in driver.events(SACKS)] == ["0"]
    assert [event.counted for event in driver.events(COUNTS)] == [1]
    driver.reopen()
    assert [event.upload_id for event in driver.events(SACKS)] == ["0"]


def test_a_bug_before_the_commit_leaves_nothing_either() -> None:
    driver = driver_on(FailingDisk())

    class Bug(Appending):
        def apply(self, core: Any, tx: Any) -> None:
            super().apply(core, tx)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        driver.transact([appending([]), Bug([], print)])
    assert driver.core.log.partitions["sacks"][0].end == 0


def test_a_timer_that_waited_for_records_which_never_were_still_passes() -> None:
    disk = FailingDisk()
    driver = driver_on(disk, ORDERING)
    driver.pipe(ORDERS, make_order())
    driver.settle()
    driver.pipe(SACKS, make_sack("oat", 0))
    driver.reopen()
    driver.clock.now_ms += GIVE_UP_MS
    (task,) = driver.core.tasks
    tx = driver.core.begin()
    driver.core.apply(tx, [appending([], "oat")])
    assert task.fire(tx) == 0
    disk.fails_on = "FROM records"
    with pytest.raises(StoreFull):
        driver.core.fold(tx)
    disk.fails_on = None
    driver.settle()
    assert [event.NAME for event in driver.events(BATCHES)] == ["VideoBlocked"]


def test_what_the_engine_itself_submitted_comes_back_after_a_full_disk() -> None:
    disk = FailingDisk()
    driver = driver_on(disk)
    tries: list[bool] = []

    class Own(Appending):
        def apply(self, core: Any, tx: Any) -> None:
            tries.append(True)

        def refused(self, problem: BaseException) -> bool:
            return True

    driver.pipe(SACKS, make_sack("rye", 0))
    driver.reopen()
    disk.fails_on = "FROM records"
    with pytest.raises(StoreBusy):
        driver.transact([Own([], print)])
    disk.fails_on = None
    driver.settle()
    assert len(tries) == 2
