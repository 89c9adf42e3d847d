"""Messages of this process to whoever listens in it, each with a bounded queue of its own.

It must never wait for one who is slow: that one loses its oldest messages.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

# A subscriber that is this far behind has a stalled connection; it loses its oldest messages.
MESSAGES_MAX = 1_000


class FanOut:
    """Channels of one event loop."""

    def __init__(self) -> None:
        self._channels: dict[Hashable, list[asyncio.Queue[bytes]]] = {}

    def publish(self, channel: Hashable, message: bytes) -> None:
        for queue in self._channels.get(channel, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(message)

    def has(self, channel: Hashable) -> bool:
        """Whether anybody listens to it."""
        return channel in self._channels

    @asynccontextmanager
    async def subscribe(self, channel: Hashable) -> AsyncIterator[AsyncIterator[bytes]]:
        queue: asyncio.Queue[bytes] = asyncio.Queue(MESSAGES_MAX)
        self._channels.setdefault(channel, []).append(queue)
        try:
            yield _Messages(queue)
        finally:
            queues = self._channels[channel]
            queues.remove(queue)
            if not queues:
                del self._channels[channel]


class _Messages(AsyncIterator[bytes]):
    """Goes on after a wait for the next message was given up."""

    def __init__(self, queue: asyncio.Queue[bytes]) -> None:
        self._queue = queue

    async def __anext__(self) -> bytes:
        return await self._queue.get()
