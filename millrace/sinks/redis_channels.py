"""What other processes publish in Redis, to those who listen in this one, over one connection.

A connection a listener would be hundreds a gateway. It must never end because Redis is away: it
comes back by itself, and listens to the same channels again; what was published between is lost.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisSlow

from millrace.sinks.fan_out import FanOut

AWAY = (RedisAway, RedisSlow)
# Who subscribes waits no longer than this for Redis to say that it listens.
CONFIRM_S = 0.25
RECONNECT_S = 0.25
# A connection without a word for so long is asked for one; without an answer it is given up.
SILENT_S = 5.0


@contextmanager
def cut_is_away() -> Iterator[None]:
    """Raises RedisAway where a connection was cut before it was written to, as uvloop says it."""
    try:
        yield
    except RuntimeError as error:
        if "handler is closed" not in str(error):
            raise
        raise RedisAway(str(error)) from error


class RedisChannels:
    """Subscriptions of one event loop; `connect` makes a connection that isn't opened yet."""

    def __init__(self, connect: Callable[[], AbstractConnection]) -> None:
        self._connect = connect
        self._fan_out = FanOut()
        # Channels that somebody listens to, and whether Redis has said that it sends them.
        self._confirmed: dict[bytes, asyncio.Event] = {}
        self._connection: AbstractConnection | None = None
        self._reading: asyncio.Task[None] | None = None

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    @asynccontextmanager
    async def subscribe(self, channel: bytes) -> AsyncIterator[AsyncIterator[bytes]]:
        try:
            async with self._fan_out.subscribe(channel) as messages:
                await self._listen(channel)
                yield messages
        finally:
            await self._leave(channel)

    async def _listen(self, channel: bytes) -> None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        if channel not in self._confirmed:
            self._confirmed[channel] = asyncio.Event()
            await self._say("SUBSCRIBE", channel)
        try:
            await asyncio.wait_for(self._confirmed[channel].wait(), CONFIRM_S)
        except TimeoutError:
            return  # Redis is away: messages come when it is back

    async def _leave(self, channel: bytes) -> None:
        if not self._fan_out.has(channel) and channel in self._confirmed:
            del self._confirmed[channel]
            await self._say("UNSUBSCRIBE", channel)

    async def _say(self, *command: Any) -> None:
        """To Redis, if it is there; if not, the next connection begins with what is wanted."""
        if self._connection is None or not self._connection.is_connected:
            return
        try:
            with cut_is_away():
                await self._connection.send_command(*command, check_health=False)
        except AWAY:
            return

    async def _read(self) -> None:
        while True:
            connection = self._connect()
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                self._connection = connection
                if self._confirmed:
                    await connection.send_command("SUBSCRIBE", *self._confirmed)
                await self._hear(connection)
            except RedisError:
                for confirmed in self._confirmed.values():
                    confirmed.clear()
            finally:
                self._connection = None
                await connection.disconnect(nowait=True)
            await asyncio.sleep(RECONNECT_S)

    async def _hear(self, connection: AbstractConnection) -> None:
        """Hands on what comes. Raises what AWAY names."""
        asked = False
        while True:
            answer = await connection.read_response(timeout=SILENT_S, disconnect_on_error=False)
            if answer is None:
                if asked:
                    raise RedisAway("silent")
                with cut_is_away():
                    await connection.send_command("PING", check_health=False)
            asked = answer is None
            match answer:
                case [b"message", channel, message]:
                    self._fan_out.publish(channel, message)
                case [b"subscribe", channel, _] if channel in self._confirmed:
                    self._confirmed[channel].set()
