"""What keeps an installation from being ready is said in words (OPS-5)."""

from pathlib import Path

from millrace.deploy.composition import stopped
from millrace.streams.embedded.core import Core, Options
from millrace.streams.embedded.store import Store
from millrace.streams.topologies import TOPOLOGIES


def test_a_topology_that_stands_still_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path / "log.sqlite")
    core = Core(store, TOPOLOGIES, Options(partitions=1, parked_a_minute_max=2))
    assert list(stopped(core)) == []
    for _ in range(3):
        core.metrics.parked("views", 0)
    core.tasks[0].stopped = "uploads 0 7: from the future"
    first = core.tasks[0].topology.name
    assert list(stopped(core)) == [
        "the topology views stopped: too many of its keys are parked",
        f"the topology {first} stopped at uploads 0 7: from the future",
    ]
    store.close()
