"""Redrives on either engine: what could not be folded is folded once it can, and nothing twice."""

from dataclasses import replace
from typing import Any

from millrace.processors.emit import Deadline, Emit
from millrace.schemas import codec
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import DeadlinePassed, ObjectSeen, RedriveRequested
from millrace.schemas.topics import DEAD_LETTERS, REDRIVES, TIMERS
from millrace.streams.embedded.driver import START_MS
from tests.streams.engine.engines import Make
from tests.streams.engine.mill import COUNTER, COUNTS, SACKS, Count, make_sack
from tests.streams.engine.test_folding import redrive, tallies


def test_a_record_that_nobody_could_read_is_folded_by_a_redrive_once_somebody_can(
    make: Make,
) -> None:
    def decode(value: bytes) -> Any:
        event = codec.decode(value)
        if isinstance(event, ObjectSeen) and event.etag == "later" and not readable:
            raise codec.BadRecord("not yet")
        return event

    readable: list[bool] = []
    driver = make(tallies(), decode=decode)
    driver.pipe_bytes(SACKS, b"oat", b"no event")
    driver.pipe(SACKS, make_sack(number=0, etag="later"), event_id="sack-0")
    driver.reopen()
    driver.pipe(SACKS, make_sack(number=1))
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1]
    readable.append(True)
    (letter,) = [one for one in driver.events(DEAD_LETTERS) if one.key == b"rye"]
    driver.pipe(REDRIVES, redrive(letter))
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1, 2]
    assert driver.records(COUNTS)[-1].cause == "sack-0"


def test_a_timer_that_parked_its_key_is_folded_by_a_redrive(make: Make) -> None:
    def late(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
        if isinstance(recorded.event, DeadlinePassed):
            if broken:
                raise ZeroDivisionError
            return Count(size=1), []
        return Count(), []

    def soon(state: Count) -> Deadline | None:
        return None if state.size else Deadline("soon", START_MS + 1000)

    broken = [True]
    driver = make(tallies(replace(COUNTER, apply=late, deadline=soon)))
    driver.pipe(SACKS, make_sack("rye"))
    driver.advance(2000)
    (letter,) = driver.events(DEAD_LETTERS)
    assert letter.topic == TIMERS.name
    broken.clear()
    driver.pipe(REDRIVES, redrive(letter))
    driver.settle()
    assert driver.state("tallies", "counter", b"rye") == Count(size=1)
    assert driver.parked("tallies", "counter", b"rye") == []


def test_a_redrive_of_what_is_not_there_is_a_dead_letter_and_the_partition_goes_on(
    make: Make,
) -> None:
    nowhere = RedriveRequested("1" * 32, "tallies", "counter", "record", "sacks", 0, 99, b"rye")
    driver = make(tallies())
    driver.pipe(REDRIVES, nowhere)
    driver.pipe(REDRIVES, replace(nowhere, topic="no-such-topic"))
    driver.pipe_bytes(REDRIVES, b"rye", b"no event")
    driver.pipe(SACKS, make_sack())
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1]
    assert len(driver.events(DEAD_LETTERS)) == 3


def test_a_redrive_that_is_asked_for_twice_folds_a_parked_key_once(make: Make) -> None:
    def apply(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
        if broken:
            raise ZeroDivisionError
        return Count(size=(state or Count()).size + 1), []

    broken = [True]
    driver = make(tallies(replace(COUNTER, apply=apply)))
    driver.pipe(SACKS, make_sack())
    driver.settle()
    broken.clear()
    (letter,) = driver.events(DEAD_LETTERS)
    driver.pipe(REDRIVES, redrive(letter))
    driver.pipe(REDRIVES, redrive(letter))
    driver.settle()
    assert driver.state("tallies", "counter", b"rye") == Count(size=1)


def test_a_record_whose_keys_could_not_be_told_is_folded_by_a_redrive_after_the_fix(
    make: Make,
) -> None:
    def key(recorded: Recorded[Any]) -> bytes:
        if broken and recorded.event.etag == "odd":
            raise ZeroDivisionError
        return b"all"

    broken = [True]
    driver = make(tallies(replace(COUNTER, key=key)))
    driver.pipe(SACKS, make_sack(number=0, etag="odd"))
    driver.pipe(SACKS, make_sack(number=1))
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1]
    broken.clear()
    driver.pipe(REDRIVES, redrive(driver.events(DEAD_LETTERS)[0]))
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1, 2]
