"""Runs seeds; the command that replays a failing one is `python -m tests.simulation --seed N`."""

import argparse
import random
import sys
import time

from tests.simulation.compare import Facts, differences
from tests.simulation.invariants import broken
from tests.simulation.simulator import Simulation


def fault_free() -> Facts:
    """What every run must come to."""
    simulation = Simulation(None)
    found = simulation.run()
    lines = broken(simulation.driver, simulation.tables)
    assert not lines, lines
    return found


def failures(seed: int, wanted: Facts) -> list[str]:
    """What is wrong with the run of this seed, a line each."""
    simulation = Simulation(random.Random(seed))
    try:
        found = simulation.run()
    except AssertionError as bug:
        return [f"assertion: {bug}"]
    return differences(wanted, found) + broken(simulation.driver, simulation.tables)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one, and say all that is wrong")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=500)
    given = parser.parse_args()
    wanted = fault_free()
    if given.seed is not None:
        lines = failures(given.seed, wanted)
        sys.stdout.write("\n".join(lines or ["as it should be"]) + "\n")
        return 1 if lines else 0
    started, failed = time.perf_counter(), 0
    for seed in range(given.first, given.first + given.seeds):
        lines = failures(seed, wanted)
        if lines:
            failed += 1
            sys.stdout.write(f"seed {seed}: {len(lines)} lines, first: {lines[0][:300]}\n")
            sys.stdout.write(f"  replay: python -m tests.simulation --seed {seed}\n")
    took_s = time.perf_counter() - started
    sys.stdout.write(f"{given.seeds} seeds, {failed} failed, {took_s:.1f} s\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
