"""The thread that projects, so that slow tables never slow down the log.

It waits until the engine committed something, and backs off where the tables are busy.
"""

import threading
from collections.abc import Callable

from millrace.sinks.ports import StoreBusy
from millrace.streams.embedded.projecting import Projector
from millrace.streams.embedded.store import Connection, Store

BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 2.0


class ProjectorThread:
    """Runs a projector from `start` to `close`."""

    def __init__(
        self, projector: Projector, store: Store, crashed: Callable[[BaseException], None]
    ) -> None:
        self._projector = projector
        self._store = store
        self._crashed = crashed
        self._condition = threading.Condition()
        self._news = True
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="projector")

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was committed, or is to be projected again."""
        with self._condition:
            self._news = True
            self._condition.notify()

    def close(self) -> None:
        """Waits for the batch under way."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        reader = self._store.reader()
        backoff_s = BACKOFF_MIN_S
        try:
            while self._wait():
                try:
                    self._catch_up(reader)
                    backoff_s = BACKOFF_MIN_S
                except StoreBusy:
                    self._pause(backoff_s)
                    backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)
        except BaseException as bug:  # noqa: BLE001 - the hook ends the process
            self._crashed(bug)
        finally:
            if reader is not self._store.connection:
                reader.close()

    def _catch_up(self, reader: Connection) -> None:
        while self._projector.run(reader) and not self._closing:
            pass

    def _wait(self) -> bool:
        """Until there is news; false when it is time to end."""
        with self._condition:
            self._condition.wait_for(lambda: self._news or self._closing)
            self._news = False
            return not self._closing

    def _pause(self, pause_s: float) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._closing, pause_s)
            self._news = True
