"""Timers on either engine: due by append time, after everything that came before, once."""

from millrace.schemas.events import DeadlinePassed
from millrace.schemas.topics import TIMERS, WAITING
from millrace.streams.embedded.driver import START_MS
from tests.streams.engine.engines import Engine, Make
from tests.streams.engine.mill import (
    BATCHES,
    GIVE_UP_MS,
    ORDERING,
    ORDERS,
    SACKS,
    make_order,
    make_sack,
)


def names(driver: Engine) -> list[tuple[str, str]]:
    return [(event.NAME, event.reason) for event in driver.events(BATCHES)]


def test_a_deadline_passes_once_and_is_on_the_log(make: Make) -> None:
    driver = make(ORDERING)
    driver.pipe(ORDERS, make_order())
    driver.advance(GIVE_UP_MS - 1)
    assert driver.events(TIMERS) == []
    driver.advance(10 * GIVE_UP_MS)
    expected = DeadlinePassed("ordering", "join", b"rye", "sacks", START_MS + GIVE_UP_MS)
    assert driver.events(TIMERS) == [expected]
    assert names(driver) == [("VideoBlocked", "0 of 2")]
    (record,) = driver.records(BATCHES)
    assert record.at_ms == START_MS + GIVE_UP_MS


def test_a_deadline_that_is_no_more_does_not_pass(make: Make) -> None:
    driver = make(ORDERING)
    driver.pipe(ORDERS, make_order())
    for number in range(2):
        driver.pipe(SACKS, make_sack(number=number))
    driver.advance(10 * GIVE_UP_MS)
    assert driver.events(TIMERS) == []
    assert names(driver) == [("VideoRestored", "complete")]


def test_a_timer_that_was_due_while_nothing_ran_passes_after_the_restart(make: Make) -> None:
    driver = make(ORDERING)
    driver.pipe(ORDERS, make_order())
    driver.settle()
    driver.clock.now_ms += 5 * GIVE_UP_MS
    driver.reopen()
    driver.settle()
    assert names(driver) == [("VideoBlocked", "0 of 2")]


def test_waiting_says_what_is_awaited_and_ends_with_a_tombstone(make: Make) -> None:
    driver = make(ORDERING)
    driver.pipe(ORDERS, make_order())
    driver.settle()
    (said,) = driver.events(WAITING)
    assert (said.waits_for, said.deadline_name) == ("2 sacks", "sacks")
    assert said.deadline_at_ms == START_MS + GIVE_UP_MS
    driver.pipe(SACKS, make_sack(number=0))
    driver.settle()
    assert driver.events(WAITING)[-1].waits_for == "1 sacks"
    driver.pipe(SACKS, make_sack(number=1))
    driver.settle()
    last = driver.records(WAITING)[-1]
    assert (last.key, last.value) == (b"ordering/join/rye", b"")


def test_what_waits_and_does_not_change_is_said_once(make: Make) -> None:
    driver = make(ORDERING)
    driver.pipe(ORDERS, make_order())
    driver.pipe(SACKS, make_sack(number=0))
    driver.pipe(SACKS, make_sack(number=0))
    driver.settle()
    driver.reopen()
    driver.pipe(SACKS, make_sack(number=0))
    driver.settle()
    assert [event.waits_for for event in driver.events(WAITING)] == ["2 sacks", "1 sacks"]
