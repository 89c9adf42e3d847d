"""One set of calls over both engines, so that what a fold may rely on is written down once."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.schemas.topics import Topic
from millrace.sinks.ports import Appended
from millrace.streams.declarations import Topology
from millrace.streams.embedded.core import Options
from millrace.streams.embedded.driver import Clock, Driver
from millrace.streams.folding.records import Record
from millrace.streams.metrics import Metrics
from tests.streams.engine.mill import MILL_TOPICS


class Engine(Protocol):
    """An engine that a test drives; see millrace/streams/embedded/driver.py for the words."""

    clock: Clock

    @property
    def metrics(self) -> Metrics: ...
    def reopen(self) -> None: ...
    def pipe(
        self,
        topic: Topic,
        event: Event,
        *,
        at_ms: int | None = ...,
        event_id: str | None = ...,
        cause: str = ...,
    ) -> Appended: ...
    def pipe_bytes(self, topic: Topic, key: bytes, value: bytes) -> Appended: ...
    def settle(self) -> None: ...
    def advance(self, by_ms: int) -> None: ...
    def records(self, topic: Topic) -> Sequence[Record]: ...
    def read(self, topic: Topic) -> list[Recorded[Any]]: ...
    def events(self, topic: Topic) -> list[Any]: ...
    def state(self, topology: str, fold: str, key: bytes) -> Any | None: ...
    def parked(self, topology: str, fold: str, key: bytes) -> list[int]:
        """Offsets of the records that queue behind the key."""
        ...

    def rebuilt(self, *topologies: Topology, **options: Any) -> "Engine":
        """Another build over the same log; this one is at an end."""
        ...


class Embedded(Driver):
    """The embedded engine in memory."""

    @property
    def metrics(self) -> Metrics:
        return self.core.metrics

    def parked(self, topology: str, fold: str, key: bytes) -> list[int]:
        found: list[int] = []
        for task in self.core.tasks:
            if task.topology.name == topology:
                queue = task.folds[fold].parking.queues.get(key, [])
                # The offset is in a place's lower bits (store.py); its partition is the task's.
                places = [place for place, _ in queue]
                found += [r.offset for r in map(self.core.log.find, places) if r]  # type: ignore[arg-type]
        return found

    def rebuilt(self, *topologies: Topology, **options: Any) -> "Embedded":
        newer = Embedded(topologies, options=embedded_options(**options), store=self.store)
        newer.clock.now_ms = self.clock.now_ms
        return newer


def embedded_options(**options: Any) -> Options:
    return Options(**{"topics": MILL_TOPICS, "partitions": 1, **options})


Make = Callable[..., Engine]


def embedded(*topologies: Topology, **options: Any) -> Engine:
    return Embedded(topologies, options=embedded_options(**options))
