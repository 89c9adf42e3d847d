"""Sources that players stumble over when a joint is wrong by a tick, played to their end.

ffmpeg passes streams with gaps; hls.js in a browser does not: it is the second judge of exactness.
"""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from millrace.deploy.client import Client, Target
from millrace.deploy.outcome import followed
from millrace.deploy.uploading import Sessions, upload
from tests.e2e.servers import RunningMillrace
from tests.media.clips import CLIPS, make
from tests.web.browsing import open_page

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]
ENDED_WITHIN_MS = 120_000


async def published(running: RunningMillrace, path: Path) -> str:
    """Uploads the file and waits until every rung is there; the video's id."""
    async with Client(Target(running.url, running.token("creator"))) as client:
        sessions = Sessions(path.with_suffix(".sessions"))
        done = await upload(client, path, sessions, lambda _sent, _total: None)
        await followed(client, done.video_id, "published", lambda _status: None)
        return done.video_id


@pytest.mark.parametrize("name", ["ntsc-29.97.mp4", "stills.mkv"])
async def test_a_difficult_timeline_plays_to_its_end_without_a_stall(
    running_millrace: RunningMillrace, browser: Browser, tmp_path: Path, name: str
) -> None:
    path = await asyncio.to_thread(make, CLIPS[name], tmp_path)
    video_id = await published(running_millrace, path)
    page = await open_page(browser)
    await page.goto(f"{running_millrace.url}/watch/{video_id}")
    video = page.locator("#video")
    await expect(video).to_have_js_property("ended", True, timeout=ENDED_WITHIN_MS)
    played, length = await video.evaluate("v => [v.currentTime, v.duration]")
    assert abs(played - length) < 0.1
    # One buffered range from start to end: a gap would leave two, and a player waiting between.
    ranges = await video.evaluate("v => v.buffered.length")
    assert ranges == 1
