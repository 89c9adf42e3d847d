"""The journal tells what was folded in which order, so that a replay repeats exactly that."""

import random
from typing import Any

from millrace.schemas.envelope import Recorded
from millrace.schemas.events import DeadlinePassed
from millrace.schemas.topics import JOURNALS, TIMERS
from millrace.streams.declarations import Fold
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.driver import Driver
from millrace.streams.embedded.tasks import Input
from tests.streams.engine.mill import (
    GIVE_UP_MS,
    JOIN,
    MILL_TOPICS,
    ORDERING,
    ORDERS,
    SACKS,
    make_order,
    make_sack,
)

Output = tuple[str, bytes, Any]


def lucky_run(seed: int) -> Driver:
    """Orders and sacks that interleave by chance, timers and a crash among them."""
    luck = random.Random(seed)
    driver = Driver((ORDERING,), options=Options(topics=MILL_TOPICS, partitions=1))

    def pick(live: list[Input]) -> tuple[Input, int]:
        return luck.choice(live), 1 << 60

    (task,) = driver.core.tasks
    for _ in range(150):
        batch = f"b{luck.randrange(8)}"
        if luck.random() < 0.3:
            driver.pipe(ORDERS, make_order(batch, 3))
        else:
            driver.pipe(SACKS, make_sack(batch, luck.randrange(6)))
        driver.clock.now_ms += luck.choice((0, 1000, GIVE_UP_MS // 4))
        if luck.random() < 0.5:
            tx = driver.core.begin()
            task.fold(tx, luck.choice((1, 3, 20)), pick)
            task.fire(tx)
            driver.core.commit(tx)
        if luck.random() < 0.05:
            driver.reopen()
            (task,) = driver.core.tasks
    driver.advance(2 * GIVE_UP_MS)
    return driver


def replay(driver: Driver, fold: Fold) -> tuple[dict[bytes, Any], list[Output]]:
    """States and outputs, from the journal and the topics alone."""
    records = {
        (recorded.topic, recorded.offset): recorded
        for topic in (*fold.reads, TIMERS)
        for recorded in driver.read(topic)
    }
    states: dict[bytes, Any] = {}
    outputs: list[Output] = []
    for entry in driver.events(JOURNALS):
        assert entry.versions == (f"{fold.name}={fold.version}",)
        for run in entry.runs:
            for offset in range(run.first, run.last + 1):
                step(fold, records[run.topic, offset], states, outputs)
    return states, outputs


def step(
    fold: Fold, recorded: Recorded[Any], states: dict[bytes, Any], outputs: list[Output]
) -> None:
    key = recorded.key
    states[key], emits = fold.apply(states.get(key), recorded)
    outputs += [(emit.topic.name, emit.topic.key(emit.event), emit.event) for emit in emits]


def test_a_replay_of_the_journal_makes_the_same_states_and_the_same_outputs() -> None:
    for seed in range(10):
        driver = lucky_run(seed)
        states, outputs = replay(driver, JOIN)
        assert any(isinstance(event, DeadlinePassed) for event in driver.events(TIMERS))
        assert all(driver.state("ordering", "join", key) == held for key, held in states.items())
        records = sorted(
            (record for topic in JOIN.writes for record in driver.records(topic)),
            key=lambda record: record.sequence,
        )
        found = [(r.partition.topic.name, r.key, r.recorded.event) for r in records]
        assert found == outputs


def test_each_offset_of_each_input_is_in_the_journal_once_in_order() -> None:
    driver = lucky_run(11)
    seen: dict[str, list[int]] = {}
    for entry in driver.events(JOURNALS):
        for run in entry.runs:
            seen.setdefault(run.topic, []).extend(range(run.first, run.last + 1))
    for topic in (ORDERS, SACKS, TIMERS):
        assert seen[topic.name] == [recorded.offset for recorded in driver.read(topic)]
