"""Whether the process lives and whether it can serve (OPS-5), and what it measures (OPS-4)."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from millrace.gateway.answers import answer
from millrace.gateway.context import gateway_of


async def healthz(request: web.Request) -> web.Response:
    """GET /healthz: the process answers."""
    return answer({"status": "alive"})


async def readyz(request: web.Request) -> web.Response:
    """GET /readyz: 503 names what is not ready; a draining gateway gets no new traffic."""
    gateway = gateway_of(request)
    if gateway.draining.is_set():
        return answer({"status": "draining", "reason": "the process is stopping"}, 503)
    reason = "" if gateway.feed.following else "the log is not followed yet"
    reason = reason or await gateway.ports.operations.ready()
    if reason:
        return answer({"status": "waiting", "reason": reason}, 503)
    return answer({"status": "ready", "reason": ""})


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: Prometheus' text format."""
    body = generate_latest(gateway_of(request).ports.registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
