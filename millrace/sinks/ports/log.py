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
    """What to append. Key and partition follow from the topic's declaration and the event.

    Without `cause` it is a fact from outside. Without `at_ms` the log's clock is used; without
    `event_id` the log makes one. A caller with a natural id gives it: appended again, by whomever,
    the fact may stand on the log twice, with this one id, and the second time may say other things.
    So every fold that is fed by appends counts a fact once, the first, by natural keys or the id.
    """

    topic: str
    event: Event
    cause: str | None = None
    at_ms: int | None = None
    event_id: str | None = None


class Log(Protocol):
    """The gateway's side of the log; calls are of one event loop.

    StoreBusy where the log is away, slow or full, within a few seconds: the caller answers 503 with
    Retry-After. What became of an append that ended so, or was cancelled, is not known: it stands
    on the log, or comes to within seconds, or never does; who tries again gives the same event_id.
    KeyError: a topic that the catalogue does not have. TypeError: an event that its topic does not.
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
        """Appends all, in order within each partition, and returns as append does.

        Where it raises StoreBusy any of them may have been appended: the caller repeats all.
        TypeError and KeyError come before the first of them.
        """
        ...

    async def follow(self, topics: Collection[str]) -> AsyncIterator[Recorded[Event]]:
        """Committed records of these topics from the moment of the return on, each once.

        Ordered within a partition. A follower too slow to keep up, or whose log is away, is ended
        with StoreBusy and reads on with `read`.
        """
        ...

    async def read(
        self, topic: str, partition: int, after_offset: int, limit: int
    ) -> tuple[Recorded[Event], ...]:
        """Committed records with offsets above `after_offset` (-1: from the first), in order.

        It takes `limit` records at most, and leaves out what nobody can read (the dead letters
        have it): an empty answer is not the end, `end` says that. A record whose append returned
        from this log can be read at its place at once, even where `end` is not yet above it.
        """
        ...

    async def end(self, topic: str, partition: int) -> int:
        """The offset after the last committed record; 0 where there never was one."""
        ...
