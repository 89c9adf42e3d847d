"""Heavy work of operators, one of a kind at a time: whoever asks for the same joins what runs.

A client that goes away must not end the work under the others who wait for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Report = Mapping[str, Any]


class SingleFlight:
    """Runs one kind of work. Calls are of one event loop."""

    def __init__(self) -> None:
        self.running: dict[str, asyncio.Task[Report]] = {}
        self.turn = asyncio.Lock()

    async def run(self, what: str, work: Callable[[], Awaitable[Report]]) -> Report:
        """The report of `what`: of the run that is under way, or of one after all others ended."""
        task = self.running.get(what)
        if task is None:
            task = asyncio.create_task(self._alone(work))
            self.running[what] = task
            task.add_done_callback(lambda _: self.running.pop(what))
        return await asyncio.shield(task)

    async def _alone(self, work: Callable[[], Awaitable[Report]]) -> Report:
        async with self.turn:
            return await work()
