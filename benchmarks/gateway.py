"""Acknowledged appends a second through the gateway, beside bare aiohttp that answers 202.

Both are asked by the same client process, in turn: a client event in, 202 out. Ours is parsed,
checked, put on the log and durable before the answer; the other reads the body and answers. Many
viewers ask, so that nobody's rate limit is met.

    python -m benchmarks.gateway
"""

import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

from benchmarks.media import CLIP, PAIRS, spread
from benchmarks.servers import Served, serving
from millrace.deploy.client import Client
from millrace.deploy.clock import now_ms
from millrace.deploy.keys import KEYS_FILE, open_keys
from millrace.deploy.outcome import followed
from millrace.deploy.uploading import Sessions, upload
from millrace.gateway.auth import Tokens

CONNECTIONS = 64
REQUESTS = 6_000
VIEWERS = 200


async def accept(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=202)


def bare(port: Connection) -> None:
    """The other side: aiohttp and nothing else."""

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/v1/playback-events", accept)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    uvloop.run(serve())


async def rate(url: str, tokens: list[str], video_id: str, run: int) -> float:
    """Answers of 202 a second, at CONNECTIONS requests in flight."""
    serial = iter(range(REQUESTS))
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)

    async def ask(session: aiohttp.ClientSession) -> None:
        for number in serial:
            event = {
                "eventId": f"{run}-{number}",
                "videoId": video_id,
                "sessionId": f"{run}",
                "kind": "progress",
                "positionMs": number,
                "watchedMs": number,
            }
            headers = {"Authorization": f"Bearer {tokens[number % len(tokens)]}"}
            async with session.post(
                f"{url}/v1/playback-events", json={"events": [event]}, headers=headers
            ) as response:
                await response.read()
                assert response.status == 202, await response.text()

    async with aiohttp.ClientSession(connector=connector) as session:
        began_s = time.monotonic()
        await asyncio.gather(*(ask(session) for _ in range(CONNECTIONS)))
        return REQUESTS / (time.monotonic() - began_s)


async def published(served: Served) -> str:
    """A video to report about: of what can't be played nothing is counted, nor appended."""
    async with Client(served.as_role("creator")) as client:
        sessions = Sessions(served.data_dir / "client-uploads.json")
        done = await upload(client, CLIP, sessions, lambda _sent, _total: None)
        await followed(client, done.video_id, "published", lambda _status: None)
        return done.video_id


def minted(data_dir: Path) -> list[str]:
    keys = open_keys(data_dir / KEYS_FILE)
    tokens = Tokens(keys.token, keys.pseudonym, now_ms)
    return [tokens.mint(f"viewer-{n}", ("viewer",), 3_600) for n in range(VIEWERS)]


def measure(pairs: int = PAIRS) -> dict[str, Any]:
    """Answers a second of both, and the ratio, ours to theirs."""
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=bare, args=(theirs,), daemon=True)
    process.start()
    bare_url = f"http://127.0.0.1:{mine.recv()}"
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "data") as served:
        video_id = asyncio.run(published(served))
        tokens = minted(served.data_dir)
        rows = []
        for run in range(-1, pairs):
            load = os.getloadavg()[0]
            ours = uvloop.run(rate(served.url, tokens, video_id, run))
            other = uvloop.run(rate(bare_url, tokens, video_id, run))
            if run >= 0:
                rows.append({"load_before": load, "gateway_hz": ours, "bare_hz": other})
    process.terminate()
    return {
        "connections": CONNECTIONS,
        "requests": REQUESTS,
        "gateway_hz": spread([row["gateway_hz"] for row in rows]),
        "bare_hz": spread([row["bare_hz"] for row in rows]),
        "ratio": spread([row["gateway_hz"] / row["bare_hz"] for row in rows]),
        "pairs": rows,
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
