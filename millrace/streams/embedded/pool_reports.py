"""What a pool of workers says, as submissions to the engine: durable in its next transaction."""

from collections.abc import Callable

from millrace.streams import points
from millrace.streams.declarations import Failure
from millrace.streams.embedded.board import Hand
from millrace.streams.embedded.submissions import Emitted, Failed, Finished, Submission
from millrace.streams.points import At
from millrace.streams.working.attempts import Made


class PoolReports:
    """Hears the pool. `submit`, `busy`, `nudge` and `crash` are of any thread.

    `dropped` says that a request's end is durable, and comes from the engine's own thread.
    """

    def __init__(
        self,
        submit: Callable[[Submission], None],
        busy: Callable[[Hand], None],
        nudge: Callable[[], None],
        dropped: Callable[[Hand], None],
        crash: Callable[[BaseException], None],
        at: At,
    ) -> None:
        self._submit = submit
        self._dropped = dropped
        self._at = at
        self.busy = busy
        self.idle = nudge
        self.crashed = crash

    def made(self, request: Hand, number: int, made: Made, told: Callable[[], None]) -> None:
        self._submit(Emitted(request, number, *made, told=told))

    def finished(self, request: Hand) -> None:
        self._submit(Finished(request, lambda: self._ended(request)))

    def failed(self, request: Hand, failure: Failure) -> None:
        self._submit(Failed(request, failure, lambda: self._ended(request)))

    def _ended(self, request: Hand) -> None:
        self._at(points.WORK_DONE)
        self._dropped(request)
