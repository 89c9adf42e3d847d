"""Durations of segments, run-length coded and packed."""

from hypothesis import given
from hypothesis import strategies as st

from millrace.processors import runs

durations = st.lists(st.integers(1, 1 << 40), max_size=60)


@given(durations)
def test_packed_runs_come_back_whole(ticks: list[int]) -> None:
    whole = runs.of(ticks)
    assert runs.unpack(runs.pack(whole)) == whole
    assert (runs.length(whole), runs.total_ticks(whole)) == (len(ticks), sum(ticks))


@given(durations, st.integers(0, 70))
def test_the_first_segments_are_those_of_the_list(ticks: list[int], count: int) -> None:
    assert runs.take(runs.of(ticks), count) == runs.of(ticks[:count])


@given(durations, durations)
def test_joined_runs_are_the_runs_of_the_joined_list(first: list[int], second: list[int]) -> None:
    assert runs.join(runs.of(first), runs.of(second)) == runs.of(first + second)
