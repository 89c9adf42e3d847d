"""What passes between a pool of workers and the engine that runs it.

The pool knows requests by what it needs of them and nothing else, so that a request may stand on
SQLite or on Kafka. The pool must never make anything durable; whoever hears it does.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from millrace.schemas.envelope import Recorded
from millrace.streams.declarations import Failure, Work
from millrace.streams.working.attempts import Made


class Request(Protocol):
    """A request in a worker's hands: what is to be done, and by which work."""

    @property
    def work(self) -> Work: ...

    @property
    def recorded(self) -> Recorded[Any]: ...


R = TypeVar("R", bound=Request)
R_contra = TypeVar("R_contra", bound=Request, contravariant=True)


class Reports(Protocol[R_contra]):
    """What a pool says. Calls come from the pool's thread and must not wait."""

    def made(self, request: R_contra, number: int, made: Made, told: Callable[[], None]) -> None:
        """The n-th result, from 0: `told` is called when it is durable, by any thread.

        The worker waits for that; it is never called where the result cannot be made durable.
        """
        ...

    def finished(self, request: R_contra) -> None:
        """All results were told durable, or nobody wants the request any more."""
        ...

    def failed(self, request: R_contra, failure: Failure) -> None:
        """The attempt is over; results that were told durable stay."""
        ...

    def busy(self, request: R_contra) -> None:
        """A store was busy: the request is to come back later, and no attempt was used up."""
        ...

    def idle(self) -> None:
        """A worker has nothing in its hands."""
        ...

    def crashed(self, bug: BaseException) -> None:
        """The pool is at an end, by a bug of it or of the installation."""
        ...
