"""The gateway's side of the log, so that it never knows which engine is behind it."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event


class Appended(NamedTuple):
    """Where a record came to stand."""

    topic: str
    partition: int
    offset: int
    id: str


@dataclass(frozen=True, slots=True)
class Append:
    """What to append. The key follows from the topic's declaration and the event.

    Without `cause` it is a fact from outside. Without `at_ms` the log's clock is used; without
    `event_id` the log makes one. A caller with a natural id gives it, and consumers see it once.
    """

    topic: str
    event: Event
    cause: str | None = None
    at_ms: int | None = None
    event_id: str | None = None


class Log(Protocol):
    """The gateway's side of the log; calls are of one event loop.

    StoreBusy where the log is away or full: the caller answers 503 with Retry-After. The outcome of
    a cancelled append is unknown. KeyError: a topic that the catalogue does not have.
    """

    async def append(
        self,
        topic: str,
        event: Event,
        *,
        cause: str | None = None,
        at_ms: int | None = None,
        event_id: str | None = None,
    ) -> Appended:
        """Appends one event, as `Append` says; returns once it survives a loss of power."""
        ...

    async def append_many(self, appends: Sequence[Append]) -> tuple[Appended, ...]:
        """Appends all or none, in order, and returns as append does."""
        ...

    def follow(self, topics: Collection[str]) -> AsyncIterator[Recorded[Event]]:
        """Committed records of these topics from the moment of the call on, each once.

        Ordered within a partition. A follower too slow to keep up is ended with StoreBusy and
        reads on with `read`.
        """
        ...

    async def read(
        self, topic: str, partition: int, after_offset: int, limit: int
    ) -> tuple[Recorded[Event], ...]:
        """Committed records with offsets above `after_offset` (-1: from the first), in order.

        It takes `limit` records at most, and leaves out what nobody can read (the dead letters
        have it): an empty answer is not the end, `end` says that.
        """
        ...

    async def end(self, topic: str, partition: int) -> int:
        """The offset after the last committed record; 0 where there never was one."""
        ...
