"""Whose turn it is among a lane's requests, and what becomes of one that comes twice."""

from dataclasses import replace
from typing import Any, cast

from millrace.schemas import codec
from millrace.schemas.events import DeletionRequested
from millrace.streams.declarations import Work
from millrace.streams.folding.records import Record
from millrace.streams.kafka.intake import Delivery
from millrace.streams.kafka.records import Partition
from millrace.streams.kafka.requests import Request, Requests
from tests.streams.engine.mill import MILL, MILLING

HERE = Partition(MILLING, 0)


class Handed:
    """A delivery as requests know it."""

    def __init__(self, record: Record) -> None:
        self.record = record


def request(work: Work, offset: int, append_ms: int = 0) -> Request:
    value = codec.encode(DeletionRequested(f"v{offset}", "go", ()))
    record = Record(HERE, offset, append_ms, b"", value, "1" * 32, 0, "", "", "", "")
    return Request(work, record, cast("Delivery", Handed(record)))


def taken(requests: Requests, number: int) -> list[tuple[str, int]]:
    found = []
    for _ in range(number):
        one = requests.take()
        assert one is not None
        found.append((one.work.name, one.record.offset))
    return found


def test_within_a_work_what_was_appended_first_goes_first_whatever_its_partition() -> None:
    requests = Requests([("ordering", MILL)])
    for offset, append_ms in ((1, 30), (2, 10), (3, 20)):
        requests.queue(request(MILL, offset, append_ms))
    assert taken(requests, 3) == [("mill", 2), ("mill", 3), ("mill", 1)]


def test_works_take_turns_and_hold_no_more_slots_than_they_may() -> None:
    narrow = replace(MILL, name="narrow", slots=1)
    requests = Requests([("ordering", MILL), ("ordering", narrow)])
    for offset in range(3):
        requests.queue(request(MILL, offset))
        requests.queue(request(narrow, offset))
    assert taken(requests, 4) == [("mill", 0), ("narrow", 0), ("mill", 1), ("mill", 2)]
    assert requests.take() is None


def test_a_request_that_comes_again_while_it_is_in_hand_is_the_same_request() -> None:
    requests = Requests([("ordering", MILL)])
    first, again = request(MILL, 7), request(MILL, 7)
    requests.queue(first)
    assert requests.take() is first
    requests.queue(again)
    assert requests.take() is None
    assert first.delivery is again.delivery
    assert requests.drop(first)
    assert not requests.drop(first)


def test_a_redrive_of_a_record_is_another_request_than_the_record() -> None:
    requests = Requests([("ordering", MILL)])
    plain = request(MILL, 7)
    redrive: Any = Handed(request(MILL, 3).record)
    redriven = Request(MILL, plain.record, redrive)
    requests.queue(plain)
    requests.queue(redriven)
    assert [requests.take(), requests.take()] == [plain, redriven]
