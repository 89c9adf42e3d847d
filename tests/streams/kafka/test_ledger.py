"""Where a group may commit: never past a record that is not done."""

from hypothesis import given
from hypothesis import strategies as st

from millrace.streams.kafka.ledger import Ledger


def ledger_of(*offsets: int) -> Ledger[str]:
    ledger: Ledger[str] = Ledger()
    ledger.begin({"p": offsets[0] if offsets else 0})
    for offset in offsets:
        ledger.deliver("p", offset)
    return ledger


def test_the_position_stops_at_the_first_record_that_is_not_done() -> None:
    ledger = ledger_of(*range(8))
    for offset in (0, 1, 2, 4, 5, 6, 7):
        ledger.acknowledge("p", offset)
    assert ledger.positions() == {"p": 3}
    ledger.acknowledge("p", 3)
    assert ledger.positions() == {"p": 8}


def test_offsets_that_nobody_was_handed_are_no_gap() -> None:
    ledger = ledger_of(5, 9, 12)
    for offset in (12, 5, 9):
        ledger.acknowledge("p", offset)
    assert ledger.positions() == {"p": 13}


def test_what_moved_during_a_commit_is_for_the_next() -> None:
    ledger = ledger_of(0, 1)
    ledger.acknowledge("p", 0)
    under_way = ledger.positions()
    ledger.acknowledge("p", 1)
    ledger.committed(under_way)
    assert ledger.positions() == {"p": 2}
    ledger.committed({"p": 2})
    assert ledger.positions() == {}


def test_a_commit_that_failed_is_tried_again() -> None:
    ledger = ledger_of(0)
    ledger.acknowledge("p", 0)
    assert ledger.positions() == ledger.positions() == {"p": 1}


def test_a_stale_acknowledgement_moves_nothing() -> None:
    ledger = ledger_of(0, 1, 2)
    ledger.begin({"p": 1})
    assert not ledger.acknowledge("p", 0)
    ledger.deliver("p", 1)
    assert not ledger.acknowledge("p", 0)
    assert ledger.positions() == {}
    ledger.forget(["p"])
    assert not ledger.acknowledge("p", 1)
    assert ledger.position("p") is None


@given(st.permutations(list(range(12))), st.integers(0, 12))
def test_any_order_of_acknowledgements_commits_the_prefix_that_is_done(
    order: list[int], stop: int
) -> None:
    ledger = ledger_of(*range(12))
    for offset in order[:stop]:
        assert ledger.acknowledge("p", offset)
    missing = min(set(range(12)) - set(order[:stop]), default=12)
    assert ledger.position("p") == missing
    assert ledger.positions() == ({"p": missing} if missing else {})
