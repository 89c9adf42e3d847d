"""Redrives: whatever an operator asks for, the engine goes on, and a failure is a dead letter."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from millrace.processors.emit import Deadline, Emit
from millrace.schemas import codec
from millrace.schemas.codec import UnknownFingerprint
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    DeadLettered,
    DeadlinePassed,
    DeletionRequested,
    ObjectSeen,
    RedriveRequested,
)
from millrace.schemas.topics import DEAD_LETTERS, REDRIVES, TIMERS
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.streams.declarations import Project, Topology, Work, WorkPorts
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.driver import START_MS, Driver
from tests.streams.engine.mill import (
    COUNT_ROWS,
    COUNT_TABLE,
    COUNTER,
    COUNTS,
    FLOUR,
    MILL,
    MILL_TOPICS,
    MILLING,
    SACKS,
    Count,
    make_sack,
)

OPTIONS = Options(topics=MILL_TOPICS, partitions=1)


def asked(letter: DeadLettered, **changes: Any) -> RedriveRequested:
    names = ("letter_id", "topology", "step", "kind", "topic", "partition", "offset", "key")
    return replace(RedriveRequested(*(getattr(letter, name) for name in names)), **changes)


def letters(driver: Driver) -> list[DeadLettered]:
    return driver.events(DEAD_LETTERS)


def a_letter(**changes: Any) -> DeadLettered:
    letter = DeadLettered("1" * 32, "record", "tallies", "counter", "sacks", 0, 0, b"rye", "", b"")
    return replace(letter, **changes)


def exploding(explode: Callable[[Recorded[ObjectSeen]], Any], apply: Any) -> Topology:
    def soon(state: Count) -> Deadline | None:
        return None if state.size else Deadline("soon", START_MS + 1000)

    fold = replace(COUNTER, explode=explode, apply=apply, deadline=soon)
    return Topology("tallies", SACKS, (fold,))


def parts(recorded: Recorded[ObjectSeen]) -> list[tuple[bytes, ObjectSeen]]:
    """A part for each name; a timer has none, and would raise here."""
    names = recorded.event.video_id.split("+")
    return [(name.encode(), replace(recorded.event, video_id=name)) for name in names]


def test_a_timer_that_parked_a_fold_of_parts_is_folded_by_a_redrive() -> None:
    def late(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
        if isinstance(recorded.event, DeadlinePassed):
            if broken:
                raise ZeroDivisionError
            return Count(size=1), []
        return Count(), []

    broken = [True]
    driver = Driver((exploding(parts, late),), options=OPTIONS)
    driver.pipe(SACKS, make_sack("rye"))
    driver.advance(2000)
    (letter,) = letters(driver)
    assert letter.topic == TIMERS.name
    broken.clear()
    driver.pipe(REDRIVES, asked(letter))
    driver.settle()
    assert driver.state("tallies", "counter", b"rye") == Count(size=1)


def parked_parts(wrong: list[Any]) -> Driver:
    """A driver with one parked key, whose fold makes parts as `wrong[0]` does, if it is there."""

    def explode(recorded: Recorded[ObjectSeen]) -> Any:
        return wrong[0](recorded) if wrong else parts(recorded)

    def apply(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
        if not wrong:
            raise ZeroDivisionError
        return Count(size=1), []

    driver = Driver((exploding(explode, apply),), options=OPTIONS)
    driver.pipe(SACKS, make_sack("rye"))
    driver.settle()
    return driver


def test_a_part_that_the_fixed_fold_does_not_make_any_more_is_told_and_the_key_goes_on() -> None:
    wrong: list[Any] = []
    driver = parked_parts(wrong)
    wrong.append(lambda recorded: [])
    driver.pipe(REDRIVES, asked(letters(driver)[0]))
    driver.settle()
    assert "no such part" in letters(driver)[-1].reason
    assert driver.core.tasks[0].folds["counter"].parking.queues == {}


def test_a_key_whose_records_cannot_be_made_parts_stays_parked_and_that_is_told() -> None:
    wrong: list[Any] = []
    driver = parked_parts(wrong)
    wrong.append(lambda recorded: 1 / 0)
    driver.pipe(REDRIVES, asked(letters(driver)[0]))
    driver.settle()
    assert "ZeroDivisionError" in letters(driver)[-1].reason
    driver.reopen()
    assert list(driver.core.tasks[0].folds["counter"].parking.queues) == [b"rye"]


def test_a_record_from_the_future_that_is_redriven_is_told_and_the_engine_goes_on() -> None:
    def decode(data: bytes) -> Any:
        event = codec.decode(data)
        if unknown and isinstance(event, ObjectSeen):
            raise unknown[0]
        return event

    unknown: list[Exception] = [codec.BadRecord("not yet")]
    driver = Driver(
        (Topology("tallies", SACKS, (COUNTER,)),), options=replace(OPTIONS, decode=decode)
    )
    driver.pipe_bytes(SACKS, b"rye", codec.encode(make_sack()))
    driver.settle()
    unknown[0] = UnknownFingerprint("0" * 16)
    driver.pipe(REDRIVES, asked(letters(driver)[0]))
    driver.settle()
    assert len(letters(driver)) == 2
    unknown.clear()
    driver.pipe(SACKS, make_sack("oat"))
    driver.settle()
    assert [event.video_id for event in driver.events(COUNTS)] == ["oat"]


@pytest.mark.parametrize("step", ["counter", "count-rows", "mill", "nobody"])
def test_a_record_that_was_compacted_away_is_told_and_the_engine_goes_on(step: str) -> None:
    driver, _ = whole_mill([])
    driver.pipe(SACKS, make_sack())
    driver.settle()
    driver.reopen()
    driver.store.connection.execute(
        "DELETE FROM records WHERE place = ?", (driver.core.log.partitions["sacks"][0].base,)
    )
    driver.pipe(REDRIVES, asked(a_letter(step=step)))
    driver.settle()
    driver.reopen()
    driver.settle()
    (letter,) = letters(driver)
    assert letter.topic == REDRIVES.name
    assert (letter.topology, letter.step) == ("tallies", step)


def whole_mill(broken: list[Any]) -> tuple[Driver, SqliteTables]:
    """A counter, its rows and a mill, which fail while `broken` has something in it."""

    def rows(recorded: Recorded[Any]) -> Any:
        if broken:
            raise ZeroDivisionError
        return COUNT_ROWS.rows(recorded)

    def failed(recorded: Recorded[Any], failure: Any) -> Any:
        raise ZeroDivisionError

    def do(recorded: Recorded[Any], ports: WorkPorts) -> Any:
        if broken:
            raise ZeroDivisionError
        return MILL.do(recorded, ports)

    project: Project = replace(COUNT_ROWS, rows=rows)
    mill: Work = replace(MILL, lanes=(MILLING,), do=do, failed=failed)
    tables = SqliteTables(None, lambda: 0)
    driver = Driver(
        (Topology("tallies", SACKS, (COUNTER, project, mill)),),
        tables=tables,
        ports=lambda: cast("WorkPorts", None),
        options=OPTIONS,
    )
    return driver, tables


def test_the_redrive_of_a_projection_survives_a_crash() -> None:
    broken: list[Any] = [True]
    driver, tables = whole_mill(broken)
    driver.pipe(SACKS, make_sack())
    driver.settle()
    (letter,) = letters(driver)
    broken.clear()
    driver.pipe(REDRIVES, asked(letter))
    driver.transact()
    driver.reopen()
    driver.settle()
    assert tables.get(COUNT_TABLE, ("rye",)) is not None
    driver.reopen()
    assert driver.projector is not None
    assert not driver.projector.has_redrives


def milled(driver: Driver) -> list[str]:
    return [event.reason for event in driver.events(FLOUR)]


def test_the_redrive_of_a_request_survives_a_crash_and_is_done_once() -> None:
    broken: list[Any] = [True]
    driver, _ = whole_mill(broken)
    driver.pipe(MILLING, DeletionRequested("rye", "mill", ()))
    driver.settle()
    (letter,) = letters(driver)
    broken.clear()
    driver.pipe(REDRIVES, asked(letter))
    driver.pipe(REDRIVES, asked(letter))
    driver.transact()
    driver.reopen()
    driver.settle()
    assert milled(driver) == ["ground", "packed"]
    driver.reopen()
    driver.settle()
    assert milled(driver) == ["ground", "packed"]


def test_a_redrive_in_a_transaction_that_failed_is_done_once() -> None:
    broken: list[Any] = [True]
    driver, _ = whole_mill(broken)
    driver.pipe(MILLING, DeletionRequested("rye", "mill", ()))
    driver.settle()
    broken.clear()
    driver.pipe(REDRIVES, asked(letters(driver)[0]))
    tx = driver.core.begin()
    driver.core.fold(tx)
    tx.rollback()
    driver.settle()
    assert milled(driver) == ["ground", "packed"]


def test_a_request_that_still_cannot_be_read_is_told_again_and_no_worker_has_it() -> None:
    driver, _ = whole_mill([])
    driver.pipe_bytes(MILLING, b"rye", b"no event")
    driver.settle()
    driver.settle()
    driver.pipe(REDRIVES, asked(letters(driver)[0]))
    driver.settle()
    assert [letter.step for letter in letters(driver)] == ["mill", "mill"]
