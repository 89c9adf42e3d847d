"""What a process without a gateway says of itself over HTTP: alive, ready, and what it measures.

The addresses are the gateway's (OPS-4, OPS-5), so that one probe and one scrape fit every process.
"""

from collections.abc import Callable, Iterable, Mapping

from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

# Words for what is not ready; empty where all is.
Ready = Callable[[], str]


class Counted(Collector):
    """Counters and gauges by name, labels in it, as Prometheus collects them."""

    def __init__(self, values: Callable[[], Mapping[str, float]]) -> None:
        self._values = values

    def collect(self) -> Iterable[Metric]:
        lines = [f"{name} {value}" for name, value in sorted(self._values().items())]
        return text_string_to_metric_families("\n".join(lines) + "\n")


def process_registry() -> CollectorRegistry:
    """A registry that has what every process measures: memory, CPU, open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def add_health(app: web.Application, registry: CollectorRegistry, ready: Ready) -> None:
    """Adds /healthz, /readyz and /metrics where the application does not have them."""

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(request: web.Request) -> web.Response:
        reason = ready()
        status = "waiting" if reason else "ready"
        return web.json_response(
            {"status": status, "reason": reason}, status=503 if reason else 200
        )

    async def metrics(request: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(registry), headers=headers)

    taken = {resource.canonical for resource in app.router.resources()}
    for path, handler in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        if path not in taken:
            app.router.add_get(path, handler)
