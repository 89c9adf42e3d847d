"""The vocabulary: frozen values with permanent names that an engine is handed and runs.

Names of steps and topologies are permanent: positions, states and groups are stored under them, and
a rename is a migration. These values must never hold a connection, a clock or anything that runs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millrace.processors.emit import Deadline, Emit, Waiting
from millrace.processors.media.probe import Limits
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.schemas.topics import Topic
from millrace.sinks.ports import Objects, Row, Table, Tables

Folded = tuple[Any | None, list[Emit]]


@dataclass(frozen=True, slots=True)
class Fold:
    """A keyed state machine, pure.

    state is a frozen slotted dataclass of plain values (engines store it; a field added later needs
    a default). apply gives the next state, None to forget the key, and what to emit; an exception
    parks the key. explode turns one record into many keyed events; key overrides the record's key.
    """

    name: str
    version: int
    reads: tuple[Topic, ...]
    writes: tuple[Topic, ...]
    state: type[Any]
    apply: Callable[[Any | None, Recorded[Any]], Folded]
    key: Callable[[Recorded[Any]], bytes] | None = None
    explode: Callable[[Recorded[Any]], Iterable[tuple[bytes, Any]]] | None = None
    deadline: Callable[[Any], Deadline | None] | None = None
    waiting: Callable[[Any], Waiting | None] | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a piece of work gave no result.

    code is stable: what `do` raised as MediaFailed or Refused, else `timeout`, `worker_lost`,
    `out_of_memory` or `bug`; permanent means that another attempt can't help.
    """

    code: str
    text: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class WorkPorts:
    """What a work may touch.

    scratch is an empty folder of this attempt alone, removed afterwards; worker says who it is, for
    `explain`; limits bound what a source may ask for; point names a place where a process may be
    killed, and does nothing unless a test of that asked for it.
    """

    objects: Objects
    tables: Tables
    scratch: Path
    worker: str
    limits: Limits
    point: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Work:
    """An effect: one request in, result events out, idempotent.

    It takes the requests of the named types from its lanes, in the lanes' order of urgency. Each
    output is appended as `do` yields it, before `do` goes on, so an object is always stored and
    verified before the log says so. An exception of `do`, a timeout or a lost worker becomes what
    `failed` gives, and the fold that asked decides about another attempt.
    """

    name: str
    lanes: tuple[Topic, ...]
    takes: tuple[type[Event], ...]
    writes: tuple[Topic, ...]
    do: Callable[[Recorded[Any], WorkPorts], Iterator[Emit]]
    failed: Callable[[Recorded[Any], Failure], list[Emit]]
    still_wanted: Callable[[Recorded[Any], WorkPorts], bool] | None = None
    timeout_s: float = 600.0
    # How many of a worker pool's slots it may hold at once; None for all of them.
    slots: int | None = None
    memory_bytes_max: int = 3 << 30


@dataclass(frozen=True, slots=True)
class Project:
    """Events of one topic to rows of one table, pure; the engine adds the version and writes.

    Where `first_counts`, the first record of a key makes its row, and no later one replaces it.
    """

    name: str
    reads: Topic
    table: Table
    rows: Callable[[Recorded[Any]], list[Row]]
    first_counts: bool = False


@dataclass(frozen=True, slots=True)
class Topology:
    """Steps that share a consumer group; membership is on the lead topic alone."""

    name: str
    lead: Topic
    steps: tuple[Fold | Work | Project, ...]

    @property
    def folds(self) -> tuple[Fold, ...]:
        return tuple(step for step in self.steps if isinstance(step, Fold))

    @property
    def works(self) -> tuple[Work, ...]:
        return tuple(step for step in self.steps if isinstance(step, Work))

    @property
    def projects(self) -> tuple[Project, ...]:
        return tuple(step for step in self.steps if isinstance(step, Project))
