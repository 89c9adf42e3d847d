"""What the gateway measures of itself, in Prometheus' own types (OPS-4).

Labels are route templates and status codes, never ids: their number is bounded.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The gateway's collectors, in a registry that others share."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "millrace_http_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "millrace_http_request_seconds",
            "Time to the answer; streams count until they end.",
            ("method", "route"),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self.in_flight = Gauge(
            "millrace_http_requests_in_flight", "Requests being answered.", registry=registry
        )
        self.appended = Counter(
            "millrace_gateway_events_appended_total",
            "Events that the log acknowledged to this gateway.",
            ("topic",),
            registry=registry,
        )
        self.refused = Counter(
            "millrace_gateway_problems_total",
            "Problem details answered, by code.",
            ("code",),
            registry=registry,
        )
        # Of what was met so far: looking labels up costs more than counting.
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def acknowledged(self, topic: str, events: int) -> None:
        """So many events more stand on the topic."""
        self.appended.labels(topic).inc(events)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request more, and how long it took."""
        found = self._answered.get((method, route, status))
        if found is None:
            found = (
                self.requests.labels(method, route, status),
                self.seconds.labels(method, route),
            )
            self._answered[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)
