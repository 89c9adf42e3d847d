"""Listening sockets and their addresses, and serving on one until the process is told to stop."""

import asyncio
import re
import signal
import socket
from collections.abc import Callable

from aiohttp import web

SHUTDOWN_S = 10.0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError where the port is taken."""
    listening = socket.create_server((host, port), backlog=1024)
    listening.setblocking(False)
    return listening


def address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{re.sub('^0.0.0.0$', '127.0.0.1', host)}:{port}"


def stop_at_signals(stop: Callable[[], None]) -> None:
    """Calls it at SIGTERM and SIGINT, in the running loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


async def serve(
    app: web.Application, listening: socket.socket, announce: Callable[[], None]
) -> None:
    """Serves from `announce` to a signal; requests in hand are finished within SHUTDOWN_S."""
    stopping = asyncio.Event()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    try:
        await runner.setup()
        await web.SockSite(runner, listening).start()
        stop_at_signals(stopping.set)
        announce()
        await stopping.wait()
    finally:
        await runner.cleanup()
