"""The HTTP doors of an object store: bytes come in and go out here, never by the gateway.

The edge serves reads over any store, for a plain S3 cannot check a path's token (PLY-3). The
directory store's door is that and S3's way in for parts, so that clients and pages are the same
over both. They must never block their loop on a store, show a trace, or serve a byte that no
signature opens.
"""

import asyncio
import socket
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import uvloop
from aiohttp import web

from millrace.sinks.directory_objects import DirectoryObjects
from millrace.sinks.door_errors import answer_errors
from millrace.sinks.door_reads import Reads
from millrace.sinks.door_uploads import PART_BYTES_MAX, Uploads
from millrace.sinks.ports import Objects
from millrace.sinks.signing import BUCKET, Signer

# Enough for a browser's parts and a player's segments to wait for the disk side by side.
THREADS_MAX = 32
# Read this much of a body before the client is made to wait: larger blocks, fewer wake-ups.
READ_BYTES = 1 << 20
SHUTDOWN_S = 2.0
# Line breaks too: what is no key is to be refused as one, not to miss its route.
_KEY = "{key:(?s:.+)}"


def build_edge(store: Objects, signer: Signer) -> web.Application:
    """Reads under `/s/{token}/{key}` over any store, for any number of processes beside it.

    `signer` has the keys and the address with which `presign_get` made the tokens.
    """
    app = web.Application(middlewares=[answer_errors])
    app.router.add_get(f"/s/{{token}}/{_KEY}", Reads(store, signer).get, allow_head=True)
    app.router.add_get("/healthz", _healthy)
    app.router.add_route("OPTIONS", "/{anything:.*}", _preflight)
    app.on_response_prepare.append(_allow_every_origin)
    return app


def build_door(
    store: DirectoryObjects, signer: Signer, part_bytes_max: int = PART_BYTES_MAX
) -> web.Application:
    """The edge over one directory store, and its way in. A part over `part_bytes_max` is 413."""
    app = build_edge(store, signer)
    uploads = Uploads(store, signer, part_bytes_max)
    app.router.add_put(f"/{BUCKET}/{_KEY}", uploads.put_part)
    return app


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n", headers={"Cache-Control": "no-store"})


async def _preflight(request: web.Request) -> web.Response:
    asked = request.headers.get("Access-Control-Request-Headers", "*")
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, HEAD, PUT",
            "Access-Control-Allow-Headers": asked,
            "Access-Control-Max-Age": "3600",
        },
    )


async def _allow_every_origin(_request: web.Request, response: web.StreamResponse) -> None:
    # The address itself is the permission; no cookie opens anything here.
    response.headers["Access-Control-Allow-Origin"] = "*"
    exposed = "ETag, Content-Length, Content-Range, Accept-Ranges, Retry-After"
    response.headers["Access-Control-Expose-Headers"] = exposed
    response.headers["X-Content-Type-Options"] = "nosniff"


class DoorThread:
    """Runs a door on a listening socket in a thread and loop of its own, until `stop`."""

    def __init__(self, app: web.Application, listening: socket.socket) -> None:
        self._app = app
        self._listening = listening
        self._ready: Future[None] = Future()
        self._loop = uvloop.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)

    def start(self) -> None:
        """Returns once the door answers. Raises what kept it from doing so."""
        self._thread.start()
        self._ready.result()

    def stop(self) -> None:
        """Lets requests under way end for up to 2 s; idempotent after start."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        with ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="door") as threads:
            asyncio.get_running_loop().set_default_executor(threads)
            runner = web.AppRunner(
                self._app,
                access_log=None,
                read_bufsize=READ_BYTES,
                auto_decompress=False,
                shutdown_timeout=SHUTDOWN_S,
            )
            try:
                await runner.setup()
                await web.SockSite(runner, self._listening).start()
            except BaseException as error:
                self._ready.set_exception(error)
                raise
            self._ready.set_result(None)
            await self._stopping.wait()
            await runner.cleanup()
