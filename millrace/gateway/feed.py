"""Follows the log for facts that requests wait for: answers to commands, news of a video.

It holds no state that matters: whoever waits has a bound, and reads the tables when it is over.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.schemas.topics import PUBLICATIONS, RENDITIONS, SOURCES
from millrace.sinks.ports import Log, StoreBusy

logger = logging.getLogger(__name__)
TOPICS = (PUBLICATIONS.name, RENDITIONS.name, SOURCES.name)
RETRY_S = 0.5


class Feed:
    """One follower of the log for a whole gateway."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.waiters: dict[str, asyncio.Future[Recorded[Event]]] = {}
        self.watchers: dict[str, set[asyncio.Event]] = {}
        self.following = False

    async def run(self) -> None:
        """Follows until cancelled; a log that is away is tried again."""
        while True:
            try:
                records = await self.log.follow(TOPICS)
                self.following = True
                async for recorded in records:
                    self.take(recorded)
            except StoreBusy:
                logger.warning("the log is busy; following it again in %s s", RETRY_S)
            finally:
                # A bug too: readiness must not say that anybody hears of answers.
                self.following = False
            await asyncio.sleep(RETRY_S)

    def take(self, recorded: Recorded[Event]) -> None:
        if recorded.topic == PUBLICATIONS.name:
            waiter = self.waiters.get(recorded.cause)
            if waiter is not None and not waiter.done():
                waiter.set_result(recorded)
        video_id = getattr(recorded.event, "video_id", "")
        for watcher in self.watchers.get(video_id, ()):
            watcher.set()

    @contextmanager
    def answer(self, cause: str) -> Iterator[asyncio.Future[Recorded[Event]]]:
        """The first fact on `publications` that the cause led to, from entering on."""
        future: asyncio.Future[Recorded[Event]] = asyncio.get_running_loop().create_future()
        self.waiters[cause] = future
        try:
            yield future
        finally:
            del self.waiters[cause]

    @contextmanager
    def watch(self, video_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at each fact about the video."""
        news = asyncio.Event()
        self.watchers.setdefault(video_id, set()).add(news)
        try:
            yield news
        finally:
            self.watchers[video_id].discard(news)
            if not self.watchers[video_id]:
                del self.watchers[video_id]
