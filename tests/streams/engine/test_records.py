"""Records that are not as they should be, on either engine: nothing is lost and nobody waits."""

from dataclasses import replace
from typing import Any

from millrace.processors.emit import Emit
from millrace.schemas import codec
from millrace.schemas.codec import UnknownFingerprint
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import ObjectSeen, VideoRestored
from millrace.schemas.topics import DEAD_LETTERS
from millrace.streams.folding.keyed import EVENT_BYTES_MAX
from tests.streams.engine.engines import Make
from tests.streams.engine.mill import BATCHES, COUNTER, COUNTS, SACKS, TALLIES, Count, make_sack
from tests.streams.engine.test_folding import tallies

# Longer than the engines wait before they look at a record from the future again.
RETRY_MS = 11_000


def test_what_is_no_event_is_a_dead_letter_and_the_partition_goes_on(make: Make) -> None:
    driver = make(TALLIES)
    driver.pipe_bytes(SACKS, b"rye", b"no event")
    driver.pipe(SACKS, make_sack())
    driver.settle()
    (letter,) = driver.events(DEAD_LETTERS)
    assert (letter.kind, letter.topic, letter.offset) == ("record", "sacks", 0)
    assert letter.payload == b"no event"
    assert [event.counted for event in driver.events(COUNTS)] == [1]


def test_a_record_from_the_future_waits_with_all_behind_it_until_its_schema_comes(
    make: Make,
) -> None:
    def decode(value: bytes) -> Any:
        event = codec.decode(value)
        if isinstance(event, ObjectSeen) and event.etag == "future" and not known:
            raise UnknownFingerprint("a fingerprint that this build does not know")
        return event

    known: list[bool] = []
    driver = make(tallies(), decode=decode)
    for number, etag in ((0, ""), (1, "future"), (2, "")):
        driver.pipe(SACKS, make_sack(number=number, etag=etag))
    driver.reopen()
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1]
    known.append(True)
    driver.clock.now_ms += RETRY_MS
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1, 2, 3]
    assert driver.events(DEAD_LETTERS) == []


def test_an_event_that_no_record_can_hold_parks_its_key_and_other_keys_go_on(make: Make) -> None:
    def apply(state: Count | None, recorded: Recorded[Any]) -> tuple[Count, list[Emit]]:
        text = "x" * EVENT_BYTES_MAX if recorded.key == b"rye" else "fits"
        return Count(), [Emit(BATCHES, VideoRestored(recorded.event.video_id, text))]

    driver = make(tallies(replace(COUNTER, apply=apply, writes=(BATCHES,))))
    driver.pipe(SACKS, make_sack("rye"))
    driver.pipe(SACKS, make_sack("oat"))
    driver.settle()
    assert [event.video_id for event in driver.events(BATCHES)] == ["oat"]
    assert "fit" in driver.events(DEAD_LETTERS)[0].reason


def test_a_record_as_large_as_the_log_takes_is_told_whole_when_nobody_can_read_it(
    make: Make,
) -> None:
    driver = make(TALLIES)
    large = bytes(2_000_000)
    driver.pipe_bytes(SACKS, b"rye", large)
    driver.pipe(SACKS, make_sack())
    driver.settle()
    (letter,) = driver.events(DEAD_LETTERS)
    assert letter.payload == large
    assert [event.counted for event in driver.events(COUNTS)] == [1]
