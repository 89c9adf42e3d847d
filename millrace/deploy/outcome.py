"""What became of a video, as the command line prints it: waited for, then read back whole."""

import asyncio
from collections.abc import Callable
from typing import Any

from millrace.deploy.client import ApiError, Client

# A video that was accepted is known within so long, or it never will be.
ROW_WITHIN_S = 60.0
ENDED = ("FAILED", "BLOCKED", "DELETED", "EXPIRED")
Status = dict[str, Any]
Seen = Callable[[Status], None]


async def followed(client: Client, video_id: str, wait: str, seen: Seen) -> dict[str, float]:
    """Waits until the video is playable or published, or has ended otherwise.

    Seconds from this call, which is made when the upload is done, to each of the two. The stream
    of events is opened again where it ends early: a restarted server goes on where it was. So is
    that of a video whose row is still to come: it was accepted, however busy the projections are.
    """
    loop = asyncio.get_running_loop()
    began_s, seconds = loop.time(), dict[str, float]()

    def note(status: Status) -> None:
        seen(status)
        mark(seconds, status, round(loop.time() - began_s, 3))

    while True:
        try:
            if await watched(client, video_id, wait, note):
                return seconds
        except ApiError as problem:
            is_new = problem.code == "not_found" and loop.time() < began_s + ROW_WITHIN_S
            if problem.code != "unreachable" and not is_new:
                raise
            await asyncio.sleep(0.5)


async def watched(client: Client, video_id: str, wait: str, seen: Seen) -> bool:
    """Whether what is waited for was seen before the stream of events ended."""
    async for status in client.events(video_id):
        seen(status)
        if over(status, wait):
            return True
    return False


def mark(seconds: dict[str, float], status: Status, now_s: float) -> None:
    if status["state"] == "READY":
        seconds.setdefault("playable", now_s)
        if status["complete"]:
            seconds.setdefault("published", now_s)


def over(status: Status, wait: str) -> bool:
    if status["state"] in ENDED:
        return True
    return status["state"] == "READY" and (wait == "playable" or status["complete"])


async def report(client: Client, video_id: str, seconds: dict[str, float]) -> dict[str, Any]:
    """The JSON that `upload` and `demo` print; `error` is there where the video failed."""
    video = await client.call("GET", f"/v1/videos/{video_id}")
    found: dict[str, Any] = {"video_id": video_id, "state": video["state"]}
    if video["state"] != "READY":
        error = video["error"] or {"code": video["state"].lower(), "text": "It can't be played."}
        return found | {"error": error}
    playback = await client.call("GET", f"/v1/videos/{video_id}/playback")
    return found | {
        "hls_url": playback["hlsUrl"],
        "dash_url": playback["dashUrl"],
        "watch_url": f"{client.at.url}/watch/{video_id}",
        "source": {
            "frames": video["frames"],
            "duration_ms": video["durationMs"],
            "width": video["width"],
            "height": video["height"],
        },
        "renditions": [rendition(one) for one in video["renditions"]],
        "audio": [sound(one) for one in video["audio"]],
        "seconds": seconds,
    }


def rendition(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "rung": one["rung"],
        "width": one["width"],
        "height": one["height"],
        "codec": one["codec"],
        "segments": one["segments"],
        "frames": one["frames"],
        "duration_ms": one["durationMs"],
        "bytes": one["sizeBytes"],
    }


def sound(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "rendition": one["rendition"],
        "codec": one["codec"],
        "language": one["language"],
        "channels": one["channels"],
        "segments": one["segments"],
        "duration_ms": one["durationMs"],
        "bytes": one["sizeBytes"],
    }
