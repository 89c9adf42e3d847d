"""A viewer without a screen: plays a video by its real addresses and reports as a page does.

It fetches manifest, playlists and segments as a player would, in the order of time, and reports
only what it has fetched. It must never write anything but playback events.
"""

import asyncio
import secrets
import time
from typing import Any
from urllib.parse import urljoin

import aiohttp

from millrace.deploy.client import ApiError, Target
from millrace.processors.playlists import hls

# Four times the normal speed: what is watched is counted in media time, as in any player.
RATE = 4


async def play(at: Target, video_id: str) -> int:
    """Plays the whole video once, lowest rendition; milliseconds of media that were watched."""
    async with aiohttp.ClientSession() as session:
        playback = await fetched(session, f"{at.url}/v1/videos/{video_id}/playback")
        viewer = Viewer(session, at, video_id, playback["viewerToken"])
        await viewer.report("play")
        master = hls.read_master(await text(session, playback["hlsUrl"]))
        lowest = min(master.variants, key=lambda variant: variant.bandwidth_bps)
        lists = [urljoin(playback["hlsUrl"], lowest.uri)]
        lists += [urljoin(playback["hlsUrl"], one.uri) for one in master.audio if one.uri]
        await asyncio.gather(*(viewer.fetch_all(address) for address in lists[1:]))
        await viewer.watch(lists[0])
        await viewer.report("ended")
        return viewer.watched_ms


class Viewer:
    """One anonymous viewer and session."""

    def __init__(
        self, session: aiohttp.ClientSession, at: Target, video_id: str, token: str
    ) -> None:
        self.session, self.at, self.video_id, self.token = session, at, video_id, token
        self.session_id = secrets.token_hex(8)
        self.events = 0
        self.watched_ms = 0

    async def watch(self, address: str) -> None:
        """Fetches segment by segment, waits as long as it plays, and reports what was played."""
        playlist = hls.read_media(await text(self.session, address))
        if playlist.map_uri:
            await self.fetch(urljoin(address, playlist.map_uri))
        for segment in playlist.segments:
            await self.fetch(urljoin(address, segment.uri))
            await asyncio.sleep(float(segment.duration_s) / RATE)
            self.watched_ms += int(segment.duration_s * 1000)
            await self.report("progress")

    async def fetch_all(self, address: str) -> None:
        playlist = hls.read_media(await text(self.session, address))
        for uri in (playlist.map_uri, *(segment.uri for segment in playlist.segments)):
            if uri:
                await self.fetch(urljoin(address, uri))

    async def fetch(self, address: str) -> None:
        async with self.session.get(address) as response:
            if response.status != 200 or not await response.read():
                raise ApiError(response.status, "not_playable", f"{address} can't be fetched")

    async def report(self, kind: str) -> None:
        self.events += 1
        event = {
            "eventId": f"{self.session_id}-{self.events}",
            "videoId": self.video_id,
            "sessionId": self.session_id,
            "kind": kind,
            "positionMs": self.watched_ms,
            "watchedMs": self.watched_ms,
            "clientAtMs": int(time.time() * 1000),
        }
        headers = {"Authorization": f"Bearer {self.token}"}
        address = f"{self.at.url}/v1/playback-events"
        async with self.session.post(address, json={"events": [event]}, headers=headers) as answer:
            if answer.status != 202:
                raise ApiError(answer.status, "not_reported", await answer.text())


async def fetched(session: aiohttp.ClientSession, address: str) -> dict[str, Any]:
    async with session.get(address) as response:
        if response.status != 200:
            raise ApiError(response.status, "not_playable", await response.text())
        found: dict[str, Any] = await response.json()
        return found


async def text(session: aiohttp.ClientSession, address: str) -> str:
    async with session.get(address) as response:
        if response.status != 200:
            raise ApiError(response.status, "not_playable", f"{address} can't be fetched")
        return await response.text()
