"""Folds over Kafka count each record once, whoever is taken away and whenever."""

import random
from pathlib import Path

import pytest

from tests.chaos.takeovers import Run, faults, prove
from tests.stack.servers import ServerFactory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

# One fault of each kind that differs in what it leaves behind, in an order that alternates them.
SHORT = (
    "after-produce:3",
    "broker-sigkill",
    "after-changelog:5",
    "sigstop",
    "before-write:2",
    "offsets",
    "before-commit:4",
    "upgrade",
    "after-commit:3",
    "sigkill",
)


async def test_counts_outputs_and_states_equal_the_closed_form_whoever_is_taken_away(
    kafka_factory: ServerFactory, tmp_path: Path, *, is_long: bool
) -> None:
    luck = random.Random(0)
    broker = kafka_factory()
    broker.start()
    run = Run(broker, 20_000, luck, tmp_path)
    takeovers = 100 if is_long else len(SHORT)
    await prove(run, takeovers, faults(luck) if is_long else iter(SHORT))
    assert len(run.takeovers) == takeovers
