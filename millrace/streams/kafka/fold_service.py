"""A topology's folds as a service of the process's Faust app, so that they begin and end with it.

It must never decide about partitions or transactions: that is the group's (fold_group.py).
"""

import asyncio
from collections.abc import Callable

from faust import Service

from millrace.streams.kafka.fold_group import FoldGroup


class FoldService(Service):
    """Runs the group from the app's start to its stop; `failed` is told the bug that ended it."""

    def __init__(self, group: FoldGroup, failed: Callable[[BaseException], None]) -> None:
        super().__init__()
        self.group = group
        self._failed = failed
        self._running: asyncio.Task[None] | None = None

    async def on_start(self) -> None:
        self._running = asyncio.create_task(self.group.run(), name=self.group.topology.name)
        self._running.add_done_callback(self._ended)

    async def on_stop(self) -> None:
        """Returns when the transactions under way are done."""
        self.group.stop()
        if self._running is not None:
            await asyncio.wait({self._running})

    def _ended(self, running: "asyncio.Task[None]") -> None:
        bug = None if running.cancelled() else running.exception()
        if bug is not None:
            self._failed(bug)
