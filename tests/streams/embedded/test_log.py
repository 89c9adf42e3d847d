"""The partitioned log: bad records, cold reads, compaction, full disks, whole transactions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from millrace.schemas import codec
from millrace.schemas.codec import UnknownFingerprint
from millrace.schemas.events import RedriveRequested
from millrace.schemas.topics import DEAD_LETTERS, OBJECT_NOTIFICATIONS, REDRIVES, Topic
from millrace.sinks.ports import StoreFull
from millrace.streams import points
from millrace.streams.declarations import Topology
from millrace.streams.embedded.core import Core, Options
from millrace.streams.embedded.driver import START_MS, Driver
from millrace.streams.embedded.partitions import TAIL_MAX
from millrace.streams.embedded.store import FILE_NAME, Store
from millrace.streams.embedded.submissions import Appending, Outside
from tests.streams.engine.mill import (
    COUNTER,
    COUNTS,
    MILL_TOPICS,
    SACKS,
    TALLIES,
    make_sack,
)

FOLDS = Topology("tallies", SACKS, (COUNTER,))


def make_driver(**options: Any) -> Driver:
    chosen = Options(topics=MILL_TOPICS, partitions=1)
    return Driver((FOLDS,), options=replace(chosen, **options))


@pytest.mark.parametrize("value", [b"no avro", b"\xc3\x01", b"\x00" * 40])
def test_bytes_that_are_no_event_are_a_dead_letter_at_once(value: bytes) -> None:
    driver = make_driver()
    driver.pipe_bytes(SACKS, b"rye", value)
    driver.pipe(SACKS, make_sack("rye", 0))
    driver.settle()
    (letter,) = driver.events(DEAD_LETTERS)
    assert (letter.kind, letter.topic, letter.offset) == ("record", "sacks", 0)
    assert letter.payload == value
    assert len(driver.events(COUNTS)) == 1


def test_a_truncated_event_is_a_dead_letter() -> None:
    driver = make_driver()
    driver.pipe_bytes(SACKS, b"rye", codec.encode(make_sack())[:-3])
    driver.settle()
    assert driver.events(DEAD_LETTERS)[0].kind == "record"


def test_a_record_without_its_headers_is_a_dead_letter() -> None:
    driver = make_driver()
    tx = driver.core.begin()
    partition = driver.core.log.partitions["sacks"][0]
    tx.put(partition, b"rye", codec.encode(make_sack()), None, None)
    driver.core.commit(tx)
    driver.settle()
    assert "headers" in driver.events(DEAD_LETTERS)[0].reason


class Newer:
    """A codec that comes to know a schema only when it is upgraded."""

    def __init__(self) -> None:
        self.upgraded = False

    def decode(self, data: bytes) -> Any:
        event = codec.decode(data)
        if not self.upgraded and getattr(event, "etag", "") == "future":
            raise UnknownFingerprint("f00d")
        return event


def test_a_record_from_the_future_stops_its_partition_until_the_build_knows_it() -> None:
    newer = Newer()
    driver = make_driver(decode=newer.decode)
    # As bytes: an event that this process made itself would not be decoded.
    driver.pipe_bytes(SACKS, b"oat", codec.encode(make_sack("oat", 0)))
    driver.pipe_bytes(SACKS, b"rye", codec.encode(make_sack("rye", 0, etag="future")))
    driver.pipe_bytes(SACKS, b"oat", codec.encode(make_sack("oat", 1)))
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1]
    assert stopped_metric(driver) == 1
    assert driver.events(DEAD_LETTERS) == []
    newer.upgraded = True
    driver.advance(60_000)
    assert [event.counted for event in driver.events(COUNTS)] == [1, 1, 2]
    assert stopped_metric(driver) == 0


def stopped_metric(driver: Driver) -> float:
    return driver.core.metrics.snapshot()['millrace_stopped{partition="0",topology="tallies"}']


def test_a_bad_record_that_a_new_build_can_read_is_folded_by_a_redrive() -> None:
    newer = Newer()
    driver = make_driver(decode=lambda data: readable_later(newer, data))
    driver.pipe_bytes(SACKS, b"rye", codec.encode(make_sack("rye", 0)))
    driver.settle()
    (letter,) = driver.events(DEAD_LETTERS)
    newer.upgraded = True
    wanted = RedriveRequested(
        letter.letter_id, "tallies", letter.step, letter.kind, "sacks", 0, 0, letter.key
    )
    driver.pipe(REDRIVES, wanted)
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1]


def readable_later(newer: Newer, data: bytes) -> Any:
    event = codec.decode(data)
    if not newer.upgraded and type(event).__name__ == "ObjectSeen":
        raise codec.BadRecord("not yet")
    return event


def test_notifications_of_the_store_are_bytes_with_an_id_from_their_place() -> None:
    driver = make_driver()
    driver.pipe_bytes(OBJECT_NOTIFICATIONS, b"k", b'{"any": "json"}')
    driver.reopen()
    (seen,) = driver.read(OBJECT_NOTIFICATIONS)
    assert seen.event == b'{"any": "json"}'
    assert len(seen.id) == 32


def append_many(core: Core, number: int, key: Callable[[int], str] = str) -> None:
    for first in range(0, number, 1000):
        facts = []
        for n in range(first, min(first + 1000, number)):
            event = make_sack(key(n), n % 8)
            value = codec.encode(event)
            facts.append(Outside(SACKS, SACKS.key(event), value, event, "", START_MS, None))
        tx = core.begin()
        core.apply(tx, [Appending(facts, lambda answer: None)])
        core.commit(tx)


def test_records_that_left_memory_are_read_from_the_file_in_order() -> None:
    driver = make_driver()
    append_many(driver.core, TAIL_MAX + 500)
    partition = driver.core.log.partitions["sacks"][0]
    assert partition.tail[0] > 0
    found = driver.records(SACKS)
    assert [record.offset for record in found] == list(range(TAIL_MAX + 500))
    driver.settle()
    assert len(driver.records(COUNTS)) == TAIL_MAX + 500


def test_compaction_keeps_the_latest_record_of_each_key_and_every_place() -> None:
    compacted = replace(SACKS, cleanup="compact")
    topics = tuple(compacted if topic is SACKS else topic for topic in MILL_TOPICS)
    core = Core(Store(None), (), Options(topics=topics, partitions=1, now_ms=lambda: START_MS))
    append_many(core, 5000, lambda number: f"key-{number % 7}")
    assert core.compactor.is_due
    assert core.compactor.run() == 5000 - 7
    assert not core.compactor.is_due
    core = Core(core.log.store, (), core.options)
    partition = core.log.partitions["sacks"][0]
    left = partition.read(core.log.store.connection, 0, partition.committed, 100)
    assert [record.offset for record in left] == list(range(4993, 5000))


def test_the_end_is_where_it_was_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / FILE_NAME)
    append_many(Core(store, (), Options(topics=MILL_TOPICS, partitions=1)), 10)
    store.close()
    store = Store(tmp_path / FILE_NAME)
    core = Core(store, (), Options(topics=MILL_TOPICS, partitions=3))
    # The number of partitions is the file's, whatever is asked for later.
    (partition,) = core.log.partitions["sacks"]
    assert partition.end == 10
    assert core.log.sequence == 10
    store.close()


def limit_pages(driver: Driver, pages: int) -> None:
    driver.store.connection.execute(f"PRAGMA max_page_count = {pages}")


def page_count(driver: Driver) -> int:
    count: int = driver.store.connection.execute("PRAGMA page_count").fetchone()[0]
    return count


def append_until_refused(driver: Driver) -> None:
    for number in range(1000):
        driver.pipe(SACKS, make_sack("rye" * 1000, number))


def test_a_full_disk_refuses_appends_and_leaves_nothing_of_them() -> None:
    driver = make_driver()
    driver.pipe(SACKS, make_sack(number=0))
    limit_pages(driver, page_count(driver))
    with pytest.raises(StoreFull):
        append_until_refused(driver)
    kept = driver.records(SACKS)
    limit_pages(driver, 1 << 20)
    driver.pipe(SACKS, make_sack(number=1))
    assert [record.offset for record in driver.records(SACKS)] == list(range(len(kept) + 1))
    driver.reopen()
    assert len(driver.records(SACKS)) == len(kept) + 1


def test_folds_that_found_the_disk_full_go_on_when_there_is_space() -> None:
    driver = make_driver()
    for number in range(40):
        driver.pipe(SACKS, make_sack(f"batch-{number}" * 20, 0))
    limit_pages(driver, page_count(driver))
    with pytest.raises(StoreFull):
        driver.settle()
    assert driver.events(COUNTS) == []
    limit_pages(driver, 1 << 20)
    driver.settle()
    assert len(driver.events(COUNTS)) == 40
    assert len({record.id for record in driver.records(COUNTS)}) == 40


class Stop(Exception):
    """The process ends here."""


@pytest.mark.parametrize(
    ("point", "counted"),
    [(points.BEFORE_WRITE, 0), (points.BEFORE_COMMIT, 0), (points.AFTER_COMMIT, 2)],
)
def test_a_transaction_is_there_whole_or_not_at_all(point: str, counted: int) -> None:
    armed: list[str] = []

    def at(passed: str) -> None:
        if passed in armed:
            armed.clear()
            raise Stop

    driver = make_driver(at=at)
    for number in range(2):
        driver.pipe(SACKS, make_sack(number=number))
    armed.append(point)
    with pytest.raises(Stop):
        driver.settle()
    driver.reopen()
    assert len(driver.events(COUNTS)) == counted
    driver.settle()
    assert [event.counted for event in driver.events(COUNTS)] == [1, 2]


def test_a_topic_with_fewer_partitions_than_the_engine_keeps_its_own_number() -> None:
    narrow = Topic("narrow", SACKS.events, SACKS.key, partitions=2)
    core = Core(Store(None), (TALLIES,), Options(topics=(*MILL_TOPICS, narrow), partitions=4))
    assert len(core.log.partitions["narrow"]) == 2
    assert len(core.log.partitions["sacks"]) == 4
