"""Acknowledged appends a second through the gateway, beside bare aiohttp that answers 202.

A client event in, 202 out, CONNECTIONS in flight. Ours is parsed, checked, limited, put on the log
and durable before the answer; the other reads the body and answers. Two of ours: `kafka` is a
gateway of a cluster, over a broker and a Redis of the benchmark's own; `embedded` is `millrace up`,
one process that also folds what it is given, and is charged for that. Each server is a process, the
client that asks them another; sides take turns. Many viewers ask, so that nobody's limit is met.

    python -m benchmarks.gateway
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import uvloop

from benchmarks import gateway_side
from benchmarks.asking import request_of, seconds
from benchmarks.media import CLIP, PAIRS, spread
from benchmarks.servers import Served, serving
from millrace.deploy.client import Client
from millrace.deploy.clock import now_ms
from millrace.deploy.keys import KEYS_FILE, open_keys
from millrace.deploy.outcome import followed
from millrace.deploy.stack import stack
from millrace.deploy.stack.downloads import Cache
from millrace.deploy.stack.places import CACHE, Places
from millrace.deploy.uploading import Sessions, upload
from millrace.gateway.auth import Tokens
from millrace.streams.kafka.admin import apply
from millrace.streams.kafka.cluster import Cluster

CONNECTIONS = 256
REQUESTS = 10_000
VIEWERS = 1_000
PATH = "/v1/playback-events"


@dataclass(frozen=True, slots=True)
class Side:
    """A server: where it listens, whom it believes, what is reported about and what it spends."""

    url: str
    tokens: list[str]
    video_id: str
    cpu_seconds: Callable[[], float]

    def requests(self) -> list[bytes]:
        """As many as a run sends, none like another."""
        run = uuid.uuid4().hex
        return [self.request(run, number) for number in range(REQUESTS)]

    def request(self, run: str, number: int) -> bytes:
        event = {
            "eventId": f"{run}-{number}",
            "videoId": self.video_id,
            "sessionId": run,
            "kind": "progress",
            "positionMs": number,
            "watchedMs": number,
        }
        body = json.dumps({"events": [event]}).encode()
        return request_of(PATH, "127.0.0.1", self.tokens[number % VIEWERS], body)

    def ask(self) -> dict[str, float]:
        """Answers of 202 a second, and what one cost the server, microseconds of CPU."""
        requests, spent_s = self.requests(), self.cpu_seconds()
        took_s = uvloop.run(seconds(self.url, requests, CONNECTIONS))
        cpu_us = (self.cpu_seconds() - spent_s) / REQUESTS * 1e6
        return {"hz": REQUESTS / took_s, "cpu_us": cpu_us}


def minted(keys: tuple[bytes, ...], pseudonym: bytes) -> list[str]:
    tokens = Tokens(keys, pseudonym, now_ms)
    return [tokens.mint(f"viewer-{n}", ("viewer",), 3_600) for n in range(VIEWERS)]


@contextmanager
def beside(which: str, *where: str) -> Iterator[Side]:
    """A server of gateway_side.py."""
    command = [sys.executable, "-m", "benchmarks.gateway_side", which, *where]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        tokens = minted((gateway_side.KEY,), gateway_side.KEY)
        process = psutil.Process(server.pid)
        yield Side(url, tokens, gateway_side.VIDEO_ID, lambda: spent(process))
        server.communicate()


def spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def clustered(folder: Path) -> Iterator[Side]:
    """A gateway over a broker and a Redis of our own."""
    places = Places.anywhere(folder)
    servers = stack.servers(places, Cache(CACHE.resolve()), stack.find_tools())
    kafka, redis = (one for one in servers if one.name in {"kafka", "redis"})
    with ExitStack() as ending:
        for server in (kafka, redis):
            ending.callback(stack.bring_down, server)
            stack.bring_up(server)
        prefix = f"b{uuid.uuid4().hex[:6]}-"
        apply(Cluster(kafka.address, prefix))
        url = f"redis://{redis.address}"
        yield ending.enter_context(beside("kafka", kafka.address, prefix, url))


@contextmanager
def embedded(folder: Path) -> Iterator[Side]:
    """`millrace up`, with a video in it: of what can't be played nothing is appended."""
    with serving(folder) as served:
        video_id = asyncio.run(published(served))
        keys = open_keys(served.data_dir / KEYS_FILE)

        def rested_s() -> float:
            served.rest()
            return served.cpu_seconds()

        yield Side(served.url, minted(keys.token, keys.pseudonym), video_id, rested_s)


async def published(served: Served) -> str:
    async with Client(served.as_role("creator")) as client:
        sessions = Sessions(served.data_dir / "client-uploads.json")
        done = await upload(client, CLIP, sessions, lambda _sent, _total: None)
        await followed(client, done.video_id, "published", lambda _status: None)
        return done.video_id


def measure(pairs: int = PAIRS) -> dict[str, Any]:
    """Answers a second and CPU of each side; of ours, the ratios to bare aiohttp."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        sides = {
            "bare": ending.enter_context(beside("bare")),
            "kafka": ending.enter_context(clustered(Path(folder) / "stack")),
            "embedded": ending.enter_context(embedded(Path(folder) / "data")),
        }
        rows: list[dict[str, Any]] = []
        for run in range(-1, pairs):
            row: dict[str, Any] = {"load_before": os.getloadavg()[0]}
            row |= {name: side.ask() for name, side in sides.items()}
            # The first warms up.
            rows += [row] if run >= 0 else []
    return {
        "connections": CONNECTIONS,
        "requests": REQUESTS,
        "sides": {name: spreads(rows, name) for name in sides},
        "pairs": rows,
    }


def spreads(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """A side's own figures, and how they compare with the same row's bare ones: more is better."""
    wall = [row[name]["hz"] / row["bare"]["hz"] for row in rows]
    cpu = [row["bare"]["cpu_us"] / row[name]["cpu_us"] for row in rows]
    own = {kind: spread([row[name][kind] for row in rows]) for kind in ("hz", "cpu_us")}
    return {**own, "wall_to_bare": spread(wall), "cpu_to_bare": spread(cpu)}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
