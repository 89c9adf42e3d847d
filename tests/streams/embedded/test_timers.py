"""Timers of the embedded engine, looked at from inside a transaction."""

from millrace.streams.embedded.core import Options
from millrace.streams.embedded.driver import START_MS, Driver
from tests.streams.engine.mill import (
    BATCHES,
    GIVE_UP_MS,
    MILL_TOPICS,
    ORDERING,
    ORDERS,
    SACKS,
    make_order,
    make_sack,
)


def make_driver() -> Driver:
    return Driver((ORDERING,), options=Options(topics=MILL_TOPICS, partitions=1))


def names(driver: Driver) -> list[tuple[str, str]]:
    return [(event.NAME, event.reason) for event in driver.events(BATCHES)]


def test_a_timer_never_overtakes_what_was_on_the_log_before_it_was_looked_at() -> None:
    driver = make_driver()
    driver.pipe(ORDERS, make_order())
    driver.settle()
    for number in range(2):
        driver.pipe(SACKS, make_sack(number=number))
    driver.clock.now_ms += 10 * GIVE_UP_MS
    (task,) = driver.core.tasks
    tx = driver.core.begin()
    assert task.fire(tx) == 0
    driver.core.commit(tx)
    driver.settle()
    assert names(driver) == [("VideoRestored", "complete")]


def test_a_timer_does_not_wait_for_what_came_after_it_was_looked_at() -> None:
    driver = make_driver()
    driver.pipe(ORDERS, make_order())
    driver.settle()
    driver.pipe(SACKS, make_sack("oat", 0))
    driver.clock.now_ms += GIVE_UP_MS
    (task,) = driver.core.tasks
    tx = driver.core.begin()
    assert task.fire(tx) == 0
    assert task.fold(tx, 1) == 1
    driver.core.commit(tx)
    driver.pipe(SACKS, make_sack("oat", 1))
    tx = driver.core.begin()
    assert task.fire(tx) == 1
    driver.core.commit(tx)
    assert task.lag == 1


def test_a_timer_comes_back_when_its_transaction_failed() -> None:
    driver = make_driver()
    driver.pipe(ORDERS, make_order())
    driver.settle()
    driver.clock.now_ms += GIVE_UP_MS
    tx = driver.core.begin()
    driver.core.fold(tx)
    tx.rollback()
    assert driver.core.next_due_ms == START_MS + GIVE_UP_MS
    driver.settle()
    assert names(driver) == [("VideoBlocked", "0 of 2")]


def test_a_clock_that_jumped_ahead_and_was_set_right_is_believed() -> None:
    driver = make_driver()
    driver.clock.now_ms += 3_600_000
    assert driver.core.now_ms() == START_MS + 3_600_000
    driver.clock.now_ms = START_MS + 1000
    assert driver.core.now_ms() == START_MS + 1000
    driver.clock.now_ms -= 500
    assert driver.core.now_ms() == START_MS + 1000
