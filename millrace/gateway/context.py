"""What every handler is handed: ports, settings and the few live things made of them.

Blocking ports are called in threads of their own, tables apart from objects, so that a slow object
store never holds up playback. Nothing here may be state that another gateway would miss.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry

from millrace.gateway.auth import Tokens, User
from millrace.gateway.batches import Batches
from millrace.gateway.feed import Feed
from millrace.gateway.metrics import Metrics
from millrace.gateway.settings import Settings
from millrace.schemas.events import Event, VideoDocument
from millrace.schemas.topics import Topic
from millrace.sinks.ports import Appended, Cache, Log, Objects, Tables

T = TypeVar("T")
# Of a rebuild: rows are compared, or then read from it, or the rows before it are read again.
Outcome = Literal["verify", "switch", "roll-back"]
WATCHED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Operations:
    """What deploy/ injects: work on the whole installation, which the gateway only exposes.

    rebuild takes a projection's name or `all`, and what is to come of it; it raises KeyError for a
    name that is none, ValueError for what this installation can't do. The reports and describe are
    what json.dumps takes. ready says what is not ready, in words.
    """

    rebuild: Callable[[str, Outcome], Awaitable[Mapping[str, Any]]]
    fsck: Callable[[], Awaitable[Mapping[str, Any]]]
    describe: Callable[[], Mapping[str, Any]]
    ready: Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside world, given by deploy/. now_ms is the wall clock, milliseconds of the epoch."""

    log: Log
    tables: Tables
    objects: Objects
    cache: Cache
    operations: Operations
    now_ms: Callable[[], int]
    registry: CollectorRegistry


class Recent(Generic[T]):
    """A bounded dictionary that forgets its oldest entries: a cache, lost without harm."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries: dict[str, T] = {}

    def get(self, key: str) -> T | None:
        return self.entries.get(key)

    def put(self, key: str, value: T) -> None:
        if key not in self.entries and len(self.entries) >= self.limit:
            self.entries.pop(next(iter(self.entries)))
        self.entries[key] = value


@dataclass(slots=True)
class Gateway:
    """One gateway process."""

    ports: Ports
    settings: Settings
    tokens: Tokens
    feed: Feed
    batches: Batches
    metrics: Metrics
    # Videos that players report about, and when each was read, by the loop's clock.
    watched: Recent[tuple[float, VideoDocument]] = field(
        default_factory=lambda: Recent(WATCHED_MAX)
    )
    table_threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(8, "gateway-tables")
    )
    object_threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(8, "gateway-objects")
    )
    in_flight: int = 0
    # Streams of progress, by user.
    streams: Counter[str] = field(default_factory=Counter)
    draining: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """A blocking call of Tables, in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.table_threads, partial(call, *args, **kwargs))

    async def store(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """A blocking call of Objects, in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.object_threads, partial(call, *args, **kwargs))

    async def append(self, topic: Topic, event: Event, *, event_id: str | None = None) -> Appended:
        """On the log, durable. Raises StoreBusy."""
        appended = await self.ports.log.append(topic.name, event, event_id=event_id)
        self.metrics.acknowledged(topic.name, 1)
        return appended

    def close(self) -> None:
        self.table_threads.shutdown(wait=False, cancel_futures=True)
        self.object_threads.shutdown(wait=False, cancel_futures=True)


GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)
USER: web.RequestKey[User] = web.RequestKey("user", User)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)


def gateway_of(request: web.Request) -> Gateway:
    return request.app[GATEWAY]


def user_of(request: web.Request) -> User | None:
    """Who asks, None where no token came."""
    return request.get(USER)
