"""The gateway put together: every address once, with the class of traffic that it is (OPS-8).

Nothing is built at import: deploy/ calls build_app with ports and settings.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from millrace.gateway import (
    commands,
    completing,
    explain,
    health,
    openapi,
    operations,
    pages,
    playback,
    profiles,
    progress,
    status,
    uploads,
    videos,
    views,
)
from millrace.gateway import playback_events as reports
from millrace.gateway.auth import Tokens
from millrace.gateway.batches import Batches
from millrace.gateway.boundary import boundary
from millrace.gateway.context import GATEWAY, Gateway, Ports
from millrace.gateway.feed import Feed
from millrace.gateway.metrics import Metrics
from millrace.gateway.settings import Lane, Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    lane: Lane
    handler: Handler


# fmt: off
ROUTES: tuple[Route, ...] = (
    Route("POST",    "/v1/uploads",                          "expensive", uploads.create),
    Route("GET",     "/v1/uploads/{upload_id}",              "write",     uploads.read),
    Route("DELETE",  "/v1/uploads/{upload_id}",              "write",     uploads.cancel),
    Route("POST",    "/v1/uploads/{upload_id}/complete",     "write",     completing.complete),
    Route("GET",     "/v1/videos",                           "read",      videos.list_public),
    Route("GET",     "/v1/videos/{video_id}",                "read",      videos.read),
    Route("PATCH",   "/v1/videos/{video_id}",                "write",     videos.edit),
    Route("DELETE",  "/v1/videos/{video_id}",                "write",     commands.delete),
    Route("GET",     "/v1/videos/{video_id}/status",         "read",      status.read),
    Route("GET",     "/v1/videos/{video_id}/events",         "read",      progress.stream),
    Route("GET",     "/v1/videos/{video_id}/explain",        "read",      explain.read),
    Route("GET",     "/v1/videos/{video_id}/playback",       "playback",  playback.read),
    Route("GET",     "/v1/videos/{video_id}/manifest",       "playback",  playback.manifest),
    Route("GET",     "/v1/videos/{video_id}/views",          "read",      views.read),
    Route("POST",    "/v1/videos/{video_id}/cancel",         "write",     commands.cancel),
    Route("POST",    "/v1/videos/{video_id}/retry",          "write",     commands.retry),
    Route("POST",    "/v1/videos/{video_id}/block",          "write",     commands.block),
    Route("POST",    "/v1/videos/{video_id}/restore",        "write",     commands.restore),
    Route("OPTIONS", "/v1/playback-events",                  "free",      reports.preflight),
    Route("POST",    "/v1/playback-events",                  "events",    reports.take),
    Route("GET",     "/v1/me/profile",                       "read",      profiles.read_own),
    Route("PUT",     "/v1/me/profile",                       "write",     profiles.write_own),
    Route("GET",     "/v1/creators/{creator_id}",            "read",      profiles.read_creator),
    Route("GET",     "/v1/creators/{creator_id}/videos",     "read",      videos.list_of_creator),
    Route("GET",     "/v1/log/{topic}",                      "expensive", operations.read_log),
    Route("GET",     "/v1/dead-letters",                     "expensive", operations.list_letters),
    Route("GET",     "/v1/dead-letters/{letter_id}",         "expensive", operations.read_letter),
    Route("POST",    "/v1/dead-letters/{letter_id}/redrive", "expensive", operations.redrive),
    Route("POST",    "/v1/operations/rebuild",               "expensive", operations.rebuild),
    Route("POST",    "/v1/operations/fsck",                  "expensive", operations.fsck),
    Route("GET",     "/v1/describe",                         "read",      operations.describe),
    Route("GET",     "/healthz",                             "free",      health.healthz),
    Route("GET",     "/readyz",                              "free",      health.readyz),
    Route("GET",     "/metrics",                             "free",      health.metrics),
    Route("GET",     "/openapi.json",                        "free",      openapi.read),
)
PAGES: tuple[Route, ...] = (
    Route("GET",     "/",                                    "free",      pages.home),
    Route("GET",     "/watch/{video_id}",                    "free",      pages.watch),
)
# fmt: on


def build_app(ports: Ports, settings: Settings) -> web.Application:
    """The whole gateway. It follows the log from startup and drains on shutdown."""
    lanes = {(route.method, route.path): route.lane for route in ROUTES}
    metrics = Metrics(ports.registry)
    batches = Batches(ports.log, settings.partitions, settings.batch_linger_s, metrics.acknowledged)
    gateway = Gateway(
        ports=ports,
        settings=settings,
        tokens=Tokens(settings.token_keys, settings.pseudonym_key, ports.now_ms),
        feed=Feed(ports.log),
        batches=batches,
        metrics=metrics,
    )
    metrics.in_flight.set_function(lambda: gateway.in_flight)
    app = web.Application(
        middlewares=[boundary(gateway, lanes)], client_max_size=settings.body_bytes_max
    )
    app[GATEWAY] = gateway
    for route in (*ROUTES, *PAGES):
        app.router.add_route(route.method, route.path, route.handler)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, route.handler)
    app.add_subapp("/web", pages.files())
    app.cleanup_ctx.append(following)
    app.on_shutdown.append(drain)
    return app


async def following(app: web.Application) -> AsyncIterator[None]:
    """The feed runs as long as the application does; a bug in it is seen by readiness."""
    gateway = app[GATEWAY]
    task = asyncio.create_task(gateway.feed.run())
    yield
    task.cancel()
    try:
        with suppress(asyncio.CancelledError):
            await task
    finally:
        await gateway.batches.close()
        gateway.close()


async def drain(app: web.Application) -> None:
    """Streams end and readiness says no; requests in hand are finished by the server."""
    app[GATEWAY].draining.set()
