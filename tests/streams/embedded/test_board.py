"""Which request goes to a worker next, and what becomes of it."""

from dataclasses import replace
from typing import Any, cast

from millrace.schemas import codec
from millrace.schemas.events import DeletionRequested, ObjectsDeleted
from millrace.schemas.topics import DEAD_LETTERS
from millrace.sinks.ports import StoreBusy
from millrace.streams.declarations import Topology, Work, WorkPorts
from millrace.streams.embedded.board import BACKFILL_EVERY
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.driver import Driver
from tests.streams.engine.mill import (
    FLOUR,
    MILL,
    MILL_TOPICS,
    MILLING,
    MILLING_LATER,
    SACKS,
    make_sack,
)


def driver_of(*works: Work, partitions: int = 1) -> Driver:
    return Driver(
        (Topology("ordering", MILLING, works or (MILL,)),),
        ports=lambda: cast("WorkPorts", None),
        options=Options(topics=MILL_TOPICS, partitions=partitions),
    )


def ask(driver: Driver, name: str, topic: Any = MILLING) -> None:
    driver.pipe(topic, DeletionRequested(name, "mill", ()))


def told(driver: Driver) -> list[tuple[str, str]]:
    return [(event.video_id, event.reason) for event in driver.events(FLOUR)]


def taken(driver: Driver, number: int) -> list[str]:
    names = []
    for _ in range(number):
        attempt = driver.take()
        assert attempt is not None
        names.append(attempt.hand.record.recorded.event.video_id)
    return names


def test_urgent_goes_first_and_a_lane_goes_in_the_order_of_its_appends() -> None:
    driver = driver_of(partitions=4)
    ask(driver, "later", MILLING_LATER)
    for name in "cab":
        ask(driver, name)
    assert taken(driver, 4) == ["c", "a", "b", "later"]


def test_the_least_urgent_lane_never_starves() -> None:
    driver = driver_of()
    ask(driver, "later", MILLING_LATER)
    for number in range(3 * BACKFILL_EVERY):
        ask(driver, f"urgent-{number}")
    assert taken(driver, BACKFILL_EVERY)[-1] == "later"


def test_no_lane_starves_while_two_others_are_busy() -> None:
    later, last = replace(MILLING, name="later"), replace(MILLING, name="last")
    topics = (*MILL_TOPICS, later, last)
    mill = replace(MILL, lanes=(MILLING, later, last))
    driver = Driver(
        (Topology("ordering", MILLING, (mill,)),),
        ports=lambda: cast("WorkPorts", None),
        options=Options(topics=topics, partitions=1),
    )
    for number in range(8 * BACKFILL_EVERY):
        ask(driver, f"now-{number}")
        ask(driver, f"last-{number}", last)
        ask(driver, f"later-{number}", later)
    lanes = [name.split("-")[0] for name in taken(driver, 4 * BACKFILL_EVERY)]
    assert (lanes.count("later"), lanes.count("last")) == (2, 2)


def test_a_work_holds_no_more_slots_than_it_may() -> None:
    driver = driver_of(replace(MILL, slots=2))
    for name in "abc":
        ask(driver, name)
    assert taken(driver, 2) == ["a", "b"]
    assert driver.take() is None
    driver.advance_work(driver.attempts[0])
    driver.advance_work(driver.attempts[0])
    driver.advance_work(driver.attempts[0])
    assert taken(driver, 1) == ["c"]


def test_works_of_one_urgency_take_turns() -> None:
    other = replace(MILL, name="other", lanes=(MILLING_LATER,))
    driver = driver_of(replace(MILL, lanes=(MILLING,)), other)
    for number in range(3):
        ask(driver, f"mill-{number}")
    ask(driver, "other", MILLING_LATER)
    assert taken(driver, 2) == ["mill-0", "other"]


def test_only_what_was_not_finished_is_done_again_after_a_crash() -> None:
    driver = driver_of()
    for name in "abcd":
        ask(driver, name)
    assert taken(driver, 4) == list("abcd")
    for attempt in (driver.attempts[1], driver.attempts[2]):
        for _ in range(3):
            driver.advance_work(attempt)
    driver.advance_work(driver.attempts[0])
    driver.reopen()
    assert taken(driver, 2) == ["a", "d"]
    assert driver.take() is None
    while driver.attempts:
        driver.advance_work(driver.attempts[0])
    driver.reopen()
    assert driver.take() is None
    marks = driver.store.connection.execute("SELECT COUNT(*) FROM done").fetchone()
    assert marks == (0,)


def test_a_crash_between_the_last_result_and_the_mark_repeats_the_request_with_equal_ids() -> None:
    driver = driver_of()
    ask(driver, "rye")
    taken(driver, 1)
    driver.advance_work(driver.attempts[0])
    driver.advance_work(driver.attempts[0])
    driver.reopen()
    driver.settle()
    assert told(driver) == 2 * [("rye", "ground"), ("rye", "packed")]
    assert len({record.id for record in driver.records(FLOUR)}) == 2


def test_a_failure_is_said_and_the_request_is_done() -> None:
    driver = driver_of()
    ask(driver, "stone-1")
    ask(driver, "bug-1")
    driver.settle()
    assert told(driver) == [("stone-1", "stone"), ("bug-1", "ground"), ("bug-1", "bug")]
    driver.reopen()
    assert driver.take() is None


def test_a_request_that_nobody_wants_any_more_is_skipped() -> None:
    driver = driver_of(replace(MILL, still_wanted=lambda recorded, ports: False))
    ask(driver, "rye")
    driver.settle()
    assert told(driver) == []
    assert driver.core.board.unfinished == 0


def test_a_busy_store_costs_no_attempt() -> None:
    calls = []

    def mill(recorded: Any, ports: WorkPorts) -> Any:
        calls.append(recorded.event.video_id)
        if len(calls) == 1:
            raise StoreBusy("later")
        yield from MILL.do(recorded, ports)

    driver = driver_of(replace(MILL, do=mill))
    ask(driver, "rye")
    driver.settle()
    assert told(driver) == [("rye", "ground"), ("rye", "packed")]
    assert len(calls) == 2


def test_a_result_that_the_work_did_not_declare_is_a_bug_of_the_work() -> None:
    driver = driver_of(replace(MILL, writes=()))
    ask(driver, "rye")
    driver.settle()
    # Its failure event goes to a topic that is not declared either: an operator must look.
    (letter,) = driver.events(DEAD_LETTERS)
    assert "does not declare" in letter.reason


def test_requests_of_another_type_in_the_lane_are_another_works() -> None:
    driver = driver_of(replace(MILL, lanes=(SACKS,)))
    driver.pipe(SACKS, make_sack())
    assert driver.take() is None
    driver.reopen()
    assert driver.take() is None


def test_a_bad_record_in_a_lane_is_a_dead_letter_and_the_lane_goes_on() -> None:
    driver = driver_of()
    driver.pipe_bytes(MILLING, b"rye", b"no request")
    ask(driver, "oat")
    driver.settle()
    (letter,) = driver.events(DEAD_LETTERS)
    assert (letter.kind, letter.step) == ("record", "mill")
    assert ("oat", "packed") in told(driver)
    driver.reopen()
    assert driver.take() is None


def test_results_are_facts_from_outside_and_bear_their_own_time() -> None:
    driver = driver_of()
    driver.pipe(MILLING, DeletionRequested("rye", "mill", ()), at_ms=123)
    driver.clock.now_ms += 1000
    driver.settle()
    assert {recorded.at_ms for recorded in driver.read(FLOUR)} == {driver.clock.now_ms}
    assert isinstance(codec.decode(driver.records(FLOUR)[0].value), ObjectsDeleted)
