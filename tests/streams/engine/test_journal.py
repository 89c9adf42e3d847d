"""The journal of either engine tells what was folded in which order: a replay repeats that."""

import random
from typing import Any

from millrace.schemas.envelope import Recorded
from millrace.schemas.events import DeadlinePassed
from millrace.schemas.topics import JOURNALS, TIMERS
from millrace.streams.declarations import Fold
from tests.streams.engine.engines import Engine, Make
from tests.streams.engine.mill import (
    GIVE_UP_MS,
    JOIN,
    ORDERING,
    ORDERS,
    SACKS,
    make_order,
    make_sack,
)

Output = tuple[str, str, Any]


def lucky_run(engine: Engine, seed: int) -> None:
    """Orders and sacks that interleave by chance, timers and restarts among them."""
    luck = random.Random(seed)
    for _ in range(60):
        batch = f"b{luck.randrange(8)}"
        if luck.random() < 0.3:
            engine.pipe(ORDERS, make_order(batch, 3))
        else:
            engine.pipe(SACKS, make_sack(batch, luck.randrange(6)))
        if luck.random() < 0.1:
            engine.advance(luck.choice((1000, GIVE_UP_MS)))
        if luck.random() < 0.03:
            engine.reopen()
    engine.advance(2 * GIVE_UP_MS)


def replay(engine: Engine, fold: Fold) -> tuple[dict[bytes, Any], list[Output]]:
    """States and outputs, from the journal and the topics alone."""
    records: dict[tuple[str, int], Recorded[Any]] = {
        (recorded.topic, recorded.offset): recorded
        for topic in (*fold.reads, TIMERS)
        for recorded in engine.read(topic)
    }
    states: dict[bytes, Any] = {}
    outputs: list[Output] = []
    for entry in engine.events(JOURNALS):
        assert entry.versions == (f"{fold.name}={fold.version}",)
        for run in entry.runs:
            for offset in range(run.first, run.last + 1):
                recorded = records.pop((run.topic, offset))
                states[recorded.key], emits = fold.apply(states.get(recorded.key), recorded)
                outputs += [(emit.topic.name, recorded.id, emit.event) for emit in emits]
    assert records == {}, "a record was folded and is not in the journal"
    return states, outputs


def test_a_replay_of_the_journal_makes_the_same_states_and_the_same_outputs(make: Make) -> None:
    engine = make(ORDERING)
    lucky_run(engine, seed=4)
    states, outputs = replay(engine, JOIN)
    assert any(isinstance(event, DeadlinePassed) for event in engine.events(TIMERS))
    assert all(engine.state("ordering", "join", key) == held for key, held in states.items())
    for topic in JOIN.writes:
        found = [(topic.name, one.cause, one.event) for one in engine.read(topic)]
        assert found == [output for output in outputs if output[0] == topic.name]
