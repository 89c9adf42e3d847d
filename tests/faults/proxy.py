"""A proxy between a client and a real server that breaks in the ways networks and servers do.

It stands for S3, Kafka, Cassandra and Redis alike: what it passes on is plain TCP, and only a 503
and the end of a head are HTTP. It must never break anything that it was not told to, and what it
was told holds for connections that are open already: those are cut when the fault changes.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

BLOCK_BYTES = 1 << 16
HEAD_END = b"\r\n\r\n"
SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to connections. `times` is how many meet it, None for all until it is changed.

    refuse: the connection is closed as it opens. delay_s: each block waits so long on its way, both
    ways. frozen: nothing goes through, nothing is closed. unavailable: each connection gets one 503
    for its first request. cut_after_bytes: so much of what the server says goes through, after its
    first head where `http`, then the connection ends. lose_answer: the server does what it was
    asked over HTTP, and the connection ends before its answer comes.
    """

    refuse: bool = False
    delay_s: float = 0.0
    frozen: bool = False
    unavailable: bool = False
    cut_after_bytes: int | None = None
    http: bool = True
    lose_answer: bool = False
    times: int | None = None


NONE = Fault()


class FaultProxy:
    """Listens on `port` (free, loopback) and passes on to `upstream`; any thread may switch it.

    `met` counts the connections that met a fault.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self.met = 0
        self._fault = NONE
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._ready: Future[None] = Future()
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._meeting: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    # ------------------------------------------------------------ what tests say

    def start(self) -> None:
        self._thread.start()
        self._ready.result(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    def set(self, fault: Fault) -> None:
        """From now on; connections that are open are reset, so that none escapes it."""
        done: Future[None] = Future()
        self._loop.call_soon_threadsafe(self._switch, fault, done)
        done.result(10)

    def heal(self) -> None:
        """Passes on everything again."""
        self.set(NONE)

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        """Within, the fault; afterwards none."""
        self.set(fault)
        try:
            yield
        finally:
            self.heal()

    # ------------------------------------------------------------ within the loop

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._meet, sock=self._listening)
        self._ready.set_result(None)
        await self._stopping.wait()
        server.close()
        self._reset_all()
        await asyncio.gather(*self._meeting)

    def _switch(self, fault: Fault, done: Future[None]) -> None:
        self._fault = fault
        self._reset_all()
        done.set_result(None)

    def _reset_all(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        for writer in tuple(self._open):
            reset(writer)

    def _take(self) -> Fault:
        """The fault that the next connection meets."""
        fault = self._fault
        if fault == NONE:
            return NONE
        if fault.times is not None:
            left = fault.times - 1
            self._fault = replace(fault, times=left) if left else NONE
        self.met += 1
        return fault

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meeting = asyncio.current_task()
        assert meeting is not None
        self._meeting.add(meeting)
        self._open.add(writer)
        # What drain() has seen is the kernel's, and no reset takes it away.
        writer.transport.set_write_buffer_limits(0)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._pass_on(reader, writer, self._take())
        finally:
            self._open.discard(writer)
            self._meeting.discard(meeting)
            writer.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault
    ) -> None:
        if fault.refuse:
            return
        if fault.frozen:
            await self._changed.wait()
            return
        if fault.unavailable:
            await answer_503(reader, writer)
            return
        there, server = await asyncio.open_connection(*self.upstream)
        self._open.add(server)
        server.transport.set_write_buffer_limits(0)
        asking = asyncio.create_task(carry(reader, server, fault.delay_s, None))
        try:
            await carry_answer(there, writer, fault)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            self._open.discard(server)
            server.transport.abort()


def reset(writer: asyncio.StreamWriter) -> None:
    """Closes with a reset, which takes away what was not read yet."""
    if not writer.transport.is_closing():
        peer = writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delay_s: float,
    bytes_max: int | None,
) -> None:
    """Carries one way, to the end or for so many bytes."""
    left = bytes_max
    while block := await reader.read(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left)):
        if delay_s:
            await asyncio.sleep(delay_s)
        writer.write(block)
        await writer.drain()
        if left is not None:
            left -= len(block)
    await flushed(writer)


async def carry_answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault
) -> None:
    if fault.lose_answer or (fault.cut_after_bytes is not None and fault.http):
        head = await reader.readuntil(HEAD_END)
        # An interim answer, 100 Continue, has a head of its own.
        while head.split(b" ", 2)[1].startswith(b"1"):
            writer.write(head)
            head = await reader.readuntil(HEAD_END)
        if fault.lose_answer:
            return
        writer.write(head)
    await carry(reader, writer, fault.delay_s, fault.cut_after_bytes)


async def answer_503(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One 503 as S3 says it, to the first request."""
    await reader.readuntil(HEAD_END)
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(SLOW_DOWN)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + SLOW_DOWN)
    await flushed(writer)
    # Until the client has read it and closes: a reset would take the answer away.
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            while await reader.read(BLOCK_BYTES):
                pass


async def flushed(writer: asyncio.StreamWriter) -> None:
    """Returns when all is sent, and that there is no more is said."""
    await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


@contextmanager
def fault_proxy(host: str, port: int) -> Iterator[FaultProxy]:
    """A running proxy in front of a server."""
    proxy = FaultProxy((host, port))
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
