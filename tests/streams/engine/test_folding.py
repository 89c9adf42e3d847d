"""Folds on either engine: one transition a record, parked keys, redrives."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from millrace.processors.emit import Deadline, Emit, Waiting
from millrace.schemas import ids
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import DeadLettered, ObjectSeen, RedriveRequested
from millrace.schemas.topics import DEAD_LETTERS, REDRIVES, WAITING
from millrace.streams.declarations import Fold, Topology
from millrace.streams.embedded.driver import START_MS
from tests.streams.engine.engines import Make, embedded
from tests.streams.engine.mill import (
    BATCHES,
    COUNTER,
    COUNTS,
    FLOUR,
    ORDERS,
    SACKS,
    TALLIES,
    Count,
    make_order,
    make_sack,
)


def tallies(*folds: Fold) -> Topology:
    return Topology("tallies", SACKS, folds or (COUNTER,))


def redrive(letter: DeadLettered) -> RedriveRequested:
    return RedriveRequested(
        letter.letter_id,
        letter.topology,
        letter.step,
        letter.kind,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.key,
    )


def test_counts_a_sack_once_when_it_is_brought_twice(make: Make) -> None:
    driver = make(tallies())
    for number in (0, 1, 0):
        driver.pipe(SACKS, make_sack(number=number))
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1, 2]


def test_an_output_has_the_id_the_time_and_the_cause_that_follow_from_its_input(make: Make) -> None:
    driver = make(tallies())
    driver.pipe(SACKS, make_sack(), at_ms=START_MS - 5, event_id="sack-1")
    driver.clock.now_ms += 1000
    driver.settle()
    (record,) = driver.records(COUNTS)
    assert record.id == ids.caused("counter", "sack-1", 0)
    assert (record.at_ms, record.cause) == (START_MS - 5, "sack-1")
    assert record.origin == "counter sacks 0 0 0"


def test_the_embedded_log_appends_a_fact_with_a_given_id_once() -> None:
    driver = embedded(tallies())
    first = driver.pipe(SACKS, make_sack(), event_id="sack-1")
    driver.reopen()
    again = driver.pipe(SACKS, make_sack(), event_id="sack-1")
    assert again == first
    assert len(driver.read(SACKS)) == 1


def test_states_and_positions_are_there_after_a_crash(make: Make) -> None:
    driver = make(tallies())
    driver.pipe(SACKS, make_sack(number=0))
    driver.settle()
    driver.reopen()
    driver.pipe(SACKS, make_sack(number=1))
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1, 2]
    state = driver.state("tallies", "counter", b"rye")
    assert isinstance(state, Count)
    assert state.size == 20


def test_a_field_that_was_added_later_has_its_default_in_an_old_state(make: Make) -> None:
    @dataclass(frozen=True, slots=True)
    class Older:
        seen: bytes = b""

    def remember(state: Older | None, recorded: Recorded[Any]) -> tuple[Older, list[Emit]]:
        return Older(b"\x01"), []

    older = replace(COUNTER, state=Older, apply=remember)
    driver = make(tallies(older))
    driver.pipe(SACKS, make_sack(number=0))
    driver.settle()
    newer = driver.rebuilt(tallies())
    newer.pipe(SACKS, make_sack(number=0))
    newer.pipe(SACKS, make_sack(number=1))
    newer.settle()
    assert [event.counted for event in newer.events(COUNTS)] == [2]


def test_a_field_that_a_newer_build_added_is_passed_over_by_an_older_one(make: Make) -> None:
    @dataclass(frozen=True, slots=True)
    class Newer:
        seen: bytes = b""
        size: int = 0
        smell: str = ""

    def smell(state: Newer | None, recorded: Recorded[Any]) -> tuple[Newer, list[Emit]]:
        return Newer(b"\x01", 10, "musty"), []

    driver = make(tallies(replace(COUNTER, state=Newer, apply=smell)))
    driver.pipe(SACKS, make_sack(number=0))
    driver.settle()
    older = driver.rebuilt(tallies())
    older.pipe(SACKS, make_sack(number=1))
    older.settle()
    assert [event.counted for event in older.events(COUNTS)] == [2]


def test_an_exception_parks_its_key_and_other_keys_go_on(make: Make) -> None:
    driver = make(tallies())
    driver.pipe(SACKS, make_sack("rye", 0, etag="mouldy"))
    driver.pipe(SACKS, make_sack("rye", 1))
    driver.pipe(SACKS, make_sack("oat", 0))
    driver.settle()
    assert [event.video_id for event in driver.events(COUNTS)] == ["oat"]
    (letter,) = driver.events(DEAD_LETTERS)
    assert (letter.kind, letter.step, letter.key, letter.offset) == ("parked", "counter", b"rye", 0)
    assert "mouldy" in letter.reason
    assert letter.payload == driver.records(SACKS)[0].value


def test_a_parked_key_says_what_it_waits_for(make: Make) -> None:
    driver = make(tallies())
    driver.pipe(SACKS, make_sack("rye", 0, etag="mouldy"))
    driver.settle()
    (waiting,) = driver.events(WAITING)
    assert waiting.video_id == "rye"
    assert "mouldy" in waiting.waits_for


def test_a_redrive_after_a_fix_folds_the_queue_in_order(make: Make) -> None:
    driver = make(tallies())
    for number, etag in ((0, "mouldy"), (1, ""), (2, "")):
        driver.pipe(SACKS, make_sack("rye", number, etag=etag))
    driver.settle()

    def forgiving(state: Count | None, recorded: Recorded[Any]) -> tuple[Any, list[Emit]]:
        return COUNTER.apply(state, replace(recorded, event=replace(recorded.event, etag="")))

    fixed = driver.rebuilt(tallies(replace(COUNTER, version=2, apply=forgiving)))
    fixed.pipe(SACKS, make_sack("rye", 3))
    fixed.settle()
    assert fixed.events(COUNTS) == []
    fixed.pipe(REDRIVES, redrive(fixed.events(DEAD_LETTERS)[0]))
    fixed.settle()
    assert [event.counted for event in fixed.events(COUNTS)] == [1, 2, 3, 4]
    assert [record.cause for record in fixed.records(COUNTS)] == [
        record.id for record in fixed.records(SACKS)
    ]
    assert fixed.events(WAITING)[-1] is None


def test_a_redrive_without_a_fix_parks_the_key_again_with_all_that_waited(make: Make) -> None:
    driver = make(tallies())
    driver.pipe(SACKS, make_sack("rye", 0, etag="mouldy"))
    driver.pipe(SACKS, make_sack("rye", 1))
    driver.settle()
    driver.pipe(REDRIVES, redrive(driver.events(DEAD_LETTERS)[0]))
    driver.settle()
    driver.reopen()
    driver.settle()
    assert driver.parked("tallies", "counter", b"rye") == [0, 1]
    first, second = driver.events(DEAD_LETTERS)
    assert first.letter_id == second.letter_id


def emits(topic: Any, event: Any) -> Fold:
    def apply(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
        return Count(), [Emit(topic, event)]

    return replace(COUNTER, apply=apply)


def test_emitting_to_an_undeclared_topic_parks_the_key(make: Make) -> None:
    driver = make(tallies(emits(ORDERS, make_order())))
    driver.pipe(SACKS, make_sack())
    driver.settle()
    assert "does not declare" in driver.events(DEAD_LETTERS)[0].reason
    assert driver.events(ORDERS) == []


def test_emitting_an_event_that_the_topic_does_not_carry_parks_the_key(make: Make) -> None:
    driver = make(tallies(emits(COUNTS, make_order())))
    driver.pipe(SACKS, make_sack())
    driver.settle()
    assert "does not carry" in driver.events(DEAD_LETTERS)[0].reason


def test_a_state_that_outgrew_its_limit_parks_the_key(make: Make) -> None:
    def grow(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
        return Count(bytes(70_000)), []

    driver = make(tallies(replace(COUNTER, apply=grow)))
    driver.pipe(SACKS, make_sack())
    driver.settle()
    assert "70" in driver.events(DEAD_LETTERS)[0].reason
    assert driver.state("tallies", "counter", b"rye") is None


def test_a_state_that_waits_without_a_deadline_parks_the_key(make: Make) -> None:
    def wait(state: Count) -> Waiting:
        return Waiting("rye", "nothing that will come", 0, "", "")

    driver = make(tallies(replace(COUNTER, waiting=wait)))
    driver.pipe(SACKS, make_sack())
    driver.settle()
    assert "without a deadline" in driver.events(DEAD_LETTERS)[0].reason


def test_a_deadline_that_stays_after_it_passed_parks_the_key_instead_of_firing_for_ever(
    make: Make,
) -> None:
    def soon(state: Count) -> Deadline:
        return Deadline("soon", START_MS + 1000)

    def stay(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
        return state or Count(), []

    driver = make(tallies(replace(COUNTER, apply=stay, deadline=soon)))
    driver.pipe(SACKS, make_sack())
    driver.advance(5000)
    assert "still there" in driver.events(DEAD_LETTERS)[0].reason


def test_too_many_parked_keys_a_minute_stop_the_topology(make: Make) -> None:
    driver = make(tallies(), parked_a_minute_max=3)
    for number in range(6):
        driver.pipe(SACKS, make_sack(f"batch-{number}", 0, etag="mouldy"))
        driver.settle()
    assert len(driver.events(DEAD_LETTERS)) == 4
    assert driver.metrics.stopped == {"tallies"}


def test_a_record_goes_to_every_fold_that_reads_its_topic_in_declared_order(make: Make) -> None:
    second = replace(emits(FLOUR, None), name="second", writes=(BATCHES,))

    def after(state: Count | None, recorded: Recorded[ObjectSeen]) -> tuple[Count, list[Emit]]:
        order.append("second")
        return Count(), []

    def before(state: Count | None, recorded: Recorded[ObjectSeen]) -> tuple[Count, list[Emit]]:
        order.append("first")
        return Count(), []

    order: list[str] = []
    driver = make(
        tallies(replace(COUNTER, name="first", apply=before), replace(second, apply=after))
    )
    driver.pipe(SACKS, make_sack())
    driver.settle()
    assert order == ["first", "second"]


def test_the_parts_of_an_exploded_record_are_folded_by_their_own_keys(make: Make) -> None:
    def explode(recorded: Recorded[ObjectSeen]) -> list[tuple[bytes, ObjectSeen]]:
        return [
            (name.encode(), replace(recorded.event, video_id=name))
            for name in recorded.event.video_id.split("+")
        ]

    driver = make(tallies(replace(COUNTER, explode=explode)))
    driver.pipe(SACKS, make_sack("rye+oat+rye", 0))
    driver.settle()
    assert {event.video_id for event in driver.events(COUNTS)} == {"rye", "oat"}
    assert len({record.id for record in driver.records(COUNTS)}) == 2
    assert driver.state("tallies", "counter", b"oat") is not None


@pytest.mark.parametrize("partitions", [1, 4])
def test_a_key_is_always_on_the_same_partition(make: Make, partitions: int) -> None:
    driver = make(TALLIES, partitions=partitions)
    for number in range(20):
        driver.pipe(SACKS, make_sack(f"b{number % 5}", number))
    driver.settle()
    places = {(record.key, record.partition.index) for record in driver.records(SACKS)}
    assert len(places) == 5
