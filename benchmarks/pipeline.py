"""A whole video through `millrace up`, beside one ffmpeg process that makes the same rungs.

60 s of 1080p at 30 fps with sound, warm. Ours: from the answer to `complete` until it is playable
and until it is published, with all that the server and its workers spend meanwhile. Theirs: one
decode, split and scale, the same encoder settings, keyframes and sound. Pairs are interleaved.

    python -m benchmarks.pipeline
"""

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.media import CLIP, PAIRS, SECONDS, ffmpeg_ladder, make_source, spread, timed
from benchmarks.servers import Served, serving
from millrace.deploy.client import Client
from millrace.deploy.outcome import followed
from millrace.deploy.uploading import Sessions, upload
from millrace.processors.ladder import LadderPolicy, plan
from millrace.processors.media.probe import Limits, probe
from millrace.schemas.events import Rung


async def publish(served: Served, source: Path) -> dict[str, float]:
    """One upload; seconds from its completion, and CPU seconds of server and workers."""
    async with Client(served.as_role("creator")) as client:
        sessions = Sessions(served.data_dir / "client-uploads.json")
        done = await upload(client, source, sessions, lambda _sent, _total: None)
        cpu_before = served.cpu_seconds()
        seconds = await followed(client, done.video_id, "published", lambda _status: None)
        return {**seconds, "cpu_seconds": round(served.cpu_seconds() - cpu_before, 2)}


def whole_ladder(source: Path) -> tuple[Rung, ...]:
    probed = probe(source, Limits())
    return plan(probed.video, probed.audio, "", "", LadderPolicy()).rungs


def pair(served: Served, source: Path, rungs: tuple[Rung, ...], scratch: Path) -> dict[str, Any]:
    load = os.getloadavg()[0]
    ours = asyncio.run(publish(served, source))
    served.rest()
    theirs = timed(ffmpeg_ladder, source, rungs, scratch)
    return {"load_before": load, "ours": ours, "ffmpeg": theirs}


def measure(pairs: int = PAIRS) -> dict[str, Any]:
    """Ratios, ours to theirs: median, lowest and highest of the pairs."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        source = scratch / "source.mp4"
        make_source(CLIP, source)
        rungs = whole_ladder(source)
        with serving(scratch / "data") as served:
            asyncio.run(publish(served, source))
            rows = [pair(served, source, rungs, scratch) for _ in range(pairs)]
    return {
        "source_seconds": SECONDS,
        "rungs": [rung.name for rung in rungs],
        "ratios": {
            "published_wall": ratio(rows, "published", "wall_seconds"),
            "published_cpu": ratio(rows, "cpu_seconds", "cpu_seconds"),
            "playable_wall": ratio(rows, "playable", "wall_seconds"),
        },
        "pairs": rows,
    }


def ratio(rows: list[dict[str, Any]], ours: str, theirs: str) -> dict[str, float]:
    return spread([row["ours"][ours] / row["ffmpeg"][theirs] for row in rows])


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
