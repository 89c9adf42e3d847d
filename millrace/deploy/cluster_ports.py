"""The ports of a work on a cluster, made in its worker process at its first request.

Plain values, so that they travel there; a lane that has nothing to do opens, and imports, nothing.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from millrace.deploy.composition_works import media_limits
from millrace.deploy.crashing import Killer
from millrace.deploy.settings import Settings
from millrace.sinks.ports import Objects, Tables
from millrace.sinks.signing import SigningKeys
from millrace.streams.declarations import WorkPorts


@dataclass(frozen=True, slots=True, eq=False)
class ClusterPorts:
    """Makes a work's ports. Compared by identity: a process is given one, and opens once for it."""

    settings: Settings
    keys: SigningKeys
    # Of the lane.
    name: str

    def __call__(self, scratch: Path, worker: str) -> WorkPorts:
        objects, tables, killer = opened(self)
        limits = media_limits(self.settings)
        return WorkPorts(objects, tables, scratch, worker, limits, killer.in_worker)


@cache
def opened(given: ClusterPorts) -> tuple[Objects, Tables, Killer]:
    """The stores of this process, opened once and kept."""
    from millrace.deploy.stores import open_objects, open_tables  # noqa: PLC0415 - see the module

    settings = given.settings
    killer = Killer(settings.kill_at, settings.data_dir, given.name)
    return open_objects(settings, given.keys), open_tables(settings).tables, killer
