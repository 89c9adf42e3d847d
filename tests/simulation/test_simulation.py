"""Whatever bad luck a seed holds, the run comes to what the run without it came to."""

import pytest

from tests.simulation.__main__ import failures, fault_free
from tests.simulation.compare import Facts

SEEDS = 500
BATCHES = 10


@pytest.fixture(scope="module")
def wanted() -> Facts:
    return fault_free()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_seed_comes_to_the_same_facts_and_rows(batch: int, wanted: Facts) -> None:
    size = SEEDS // BATCHES
    for seed in range(batch * size, (batch + 1) * size):
        lines = failures(seed, wanted)
        assert not lines, "\n".join([f"replay: python -m tests.simulation --seed {seed}", *lines])


def test_a_seed_replays_the_same_run(wanted: Facts) -> None:
    from random import Random

    from tests.simulation.simulator import Simulation

    happened = []
    for _ in range(2):
        simulation = Simulation(Random(7))
        simulation.run()
        happened.append((simulation.happened, simulation.driver.core.log.sequence))
    assert happened[0] == happened[1]
    # The seed had some of the bad luck that this is about.
    assert {"half", "lose", "double", "jump"} <= set(happened[0][0])
