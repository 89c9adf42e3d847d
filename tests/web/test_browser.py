"""The whole way in a browser, with everything running: upload, watch while it grows, be counted."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Request, expect

from millrace.processors.media.repeat import repeat
from tests.e2e.servers import RunningMillrace
from tests.web.browsing import PHONE, nameless_controls, open_page, overflow_px

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]
CLIP_TIMES = 3
# Bounds of a machine that does much else; here it takes 9 s to play and 20 s to be complete.
PLAYABLE_WITHIN_MS = 90_000
COMPLETE_WITHIN_MS = 180_000
# A view is counted while it is watched; fold, tally, projection and the page's own rhythm follow.
COUNTED_WITHIN_MS = 60_000
# At the edge of what had grown, the complete video begins a second before.
STEP_BACK_MS_MAX = 1_500
# A decoder in software drops some frames; a stream that plays badly drops more than this.
DROPPED_RATIO_MAX = 0.2


@pytest.fixture
def clip(big_buck_bunny: Path, tmp_path: Path) -> Path:
    """Long enough to be watched while it grows: 16 s in three chunks."""
    path = tmp_path / "bunny.mp4"
    repeat(big_buck_bunny, path, CLIP_TIMES)
    return path


def listen_to_reports(page: Page) -> list[dict[str, Any]]:
    """The playback events that the page sends, as they come."""
    events: list[dict[str, Any]] = []

    def take(request: Request) -> None:
        if request.url.endswith("/v1/playback-events"):
            events.extend(json.loads(request.post_data or "")["events"])

    page.on("request", take)
    return events


async def dropped_ratio(page: Page) -> float:
    dropped, total = await page.evaluate(
        """() => {
          const quality = document.querySelector("#video").getVideoPlaybackQuality();
          return [quality.droppedVideoFrames, quality.totalVideoFrames];
        }"""
    )
    assert total > 0
    return float(dropped) / float(total)


async def until_played(page: Page, seconds: float) -> None:
    """Returns once the picture moves, and has come so far."""
    await page.evaluate(
        """(seconds) => new Promise((resolve) => {
          const video = document.querySelector("#video");
          video.addEventListener("timeupdate", () => video.currentTime > seconds && resolve());
        })""",
        seconds,
    )


async def until_ended(page: Page) -> None:
    ended = expect(page.locator("#video"))
    await ended.to_have_js_property("ended", True, timeout=COMPLETE_WITHIN_MS)


async def test_a_clip_is_uploaded_watched_while_it_grows_and_counted(
    running_millrace: RunningMillrace, browser: Browser, clip: Path
) -> None:
    page = await open_page(browser)
    reports = listen_to_reports(page)
    await page.goto(f"{running_millrace.url}/?token={running_millrace.token('creator')}")
    await page.get_by_label("Choose a video").set_input_files(clip)
    await page.get_by_label("Title").fill("The rabbit")
    await page.get_by_role("button", name="Upload", exact=True).click()
    card = page.get_by_role("article", name="The rabbit")
    watch = card.get_by_role("link", name="Watch")
    await watch.click(timeout=PLAYABLE_WITHIN_MS)

    await expect(page.get_by_role("heading", name="The rabbit")).to_be_visible()
    await until_played(page, 1)
    assert await nameless_controls(page) == []
    await expect(page.get_by_text("More qualities are on their way")).to_be_hidden(
        timeout=COMPLETE_WITHIN_MS
    )
    await until_ended(page)
    assert await dropped_ratio(page) < DROPPED_RATIO_MAX
    await expect(page.get_by_text("1 view")).to_be_visible(timeout=COUNTED_WITHIN_MS)
    # The complete video took the growing one's place where it was; only played time is reported.
    steps_ms = [after["positionMs"] - before["positionMs"] for before, after in pairwise(reports)]
    assert min(steps_ms) >= -STEP_BACK_MS_MAX
    assert {event["sessionId"] for event in reports} == {reports[0]["sessionId"]}
    assert abs(reports[-1]["watchedMs"] - reports[-1]["positionMs"]) <= STEP_BACK_MS_MAX

    visitor = await open_page(browser, PHONE)
    await visitor.goto(page.url)
    await until_played(visitor, 1)
    assert await overflow_px(visitor) <= 0
    await until_ended(visitor)
    assert await dropped_ratio(visitor) < DROPPED_RATIO_MAX
    await expect(visitor.get_by_text("2 views")).to_be_visible(timeout=COUNTED_WITHIN_MS)
