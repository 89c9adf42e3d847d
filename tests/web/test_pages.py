"""The pages in a real browser, over a real gateway and object door: uploading, editing, problems.

Nothing encodes here; what is played is tested with everything running, in test_browser.py.
"""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Page, Request, Route, expect

from tests.gateway.world import PART_BYTES, World
from tests.web.browsing import PHONE, nameless_controls, open_page, overflow_px

pytestmark = pytest.mark.browser
PARTS = 6


def address(world: World, path: str = "/") -> str:
    return str(world.client.make_url(path))


async def open_studio(world: World, browser: Browser, **size: tuple[int, int]) -> Page:
    """The studio of the creator ann."""
    page = await open_page(browser, **size)
    await page.goto(address(world, f"/?token={world.tokens.mint('ann', ('creator',), 3600)}"))
    await expect(page.get_by_role("heading", name="Your videos")).to_be_visible()
    return page


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of six parts, each part different."""
    path = tmp_path / "a holiday.mp4"
    path.write_bytes(b"".join(bytes([n]) * PART_BYTES for n in range(PARTS - 1)) + b"the end")
    return path


async def begin_upload(page: Page, file: Path) -> None:
    await page.get_by_label("Choose a video").set_input_files(file)
    await page.get_by_role("button", name="Upload", exact=True).click()


def part_of(request: Request) -> int | None:
    """The part that a request sends, None for every other request."""
    number = parse_qs(urlsplit(request.url).query).get("partNumber")
    return int(number[0]) if number and request.method == "PUT" else None


async def hold_parts(page: Page, first: int) -> None:
    """From this part on, parts get no answer: as if the network had gone."""

    async def hold(route: Route) -> None:
        if (part_of(route.request) or 0) < first:
            await route.continue_()

    await page.route(re.compile("partNumber="), hold)


def stored(world: World, video_id: str) -> bytes:
    (started,) = [e for e in world.log.events("uploads") if e.video_id == video_id][:1]
    return world.objects.read(started.object_key)


async def test_a_token_from_a_link_is_kept_and_leaves_the_address(
    world: World, browser: Browser
) -> None:
    page = await open_studio(world, browser)
    assert page.url == address(world)
    await page.reload()
    await expect(page.get_by_role("heading", name="Your videos")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in with a token")).to_be_visible()


async def test_a_refused_token_brings_back_the_form_and_says_why(
    world: World, browser: Browser
) -> None:
    page = await open_page(browser)
    await page.goto(address(world))
    await page.get_by_label("Token", exact=True).fill("nonsense")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert").first).to_contain_text("The token is not valid")
    await page.get_by_label("Token", exact=True).fill(world.tokens.mint("ann", ("creator",), 60))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Your videos")).to_be_visible()


async def test_an_upload_goes_on_after_a_reload_and_sends_the_missing_parts_alone(
    world: World, browser: Browser, file: Path
) -> None:
    page = await open_studio(world, browser)
    await hold_parts(page, first=3)
    await begin_upload(page, file)
    card = page.get_by_role("article", name="a holiday")
    await expect(card.get_by_text("10.5 MB of 26.2 MB")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    await page.reload()
    await page.unroute_all()

    sent: list[int] = []
    page.on("request", lambda request: sent.extend(filter(None, [part_of(request)])))
    await expect(card.get_by_text("Interrupted. Choose “a holiday.mp4”")).to_be_visible()
    async with page.expect_file_chooser() as chooser:
        await card.get_by_role("button", name="Choose file and continue").click()
    await (await chooser.value).set_files(file)
    await expect(card.get_by_text("Received")).to_be_visible()
    assert sorted(sent) == [3, 4, 5, 6]
    (finished,) = [e for e in world.log.events("uploads") if type(e).__name__ == "UploadFinished"]
    assert stored(world, finished.video_id) == file.read_bytes()


async def test_an_interrupted_upload_does_not_take_another_file(
    world: World, browser: Browser, file: Path, tmp_path: Path
) -> None:
    page = await open_studio(world, browser)
    await hold_parts(page, first=1)
    await begin_upload(page, file)
    card = page.get_by_role("article", name="a holiday")
    await expect(card.get_by_role("button", name="Pause")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    await page.reload()
    other = tmp_path / "other.mp4"
    other.write_bytes(file.read_bytes())
    await card.locator("input[type=file]").set_input_files(other)
    await expect(card.get_by_text("The upload was begun with “a holiday.mp4”")).to_be_visible()
    other.write_bytes(b"short")
    await card.locator("input[type=file]").set_input_files(other)
    await expect(card.get_by_text("This file has another size")).to_be_visible()


async def test_a_paused_upload_sends_nothing_until_it_is_continued(
    world: World, browser: Browser, file: Path
) -> None:
    page = await open_studio(world, browser)
    await hold_parts(page, first=2)
    await begin_upload(page, file)
    card = page.get_by_role("article", name="a holiday")
    await expect(card.get_by_text("5.2 MB of 26.2 MB")).to_be_visible()
    async with page.expect_event("requestfailed", lambda request: part_of(request) is not None):
        await card.get_by_role("button", name="Pause").click()
    await expect(card.get_by_text("Paused")).to_be_visible()
    await page.unroute_all()
    await expect(card.get_by_role("button", name="Continue")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(card.get_by_text("Received")).to_be_visible()


async def test_an_upload_given_up_leaves_the_list(
    world: World, browser: Browser, file: Path
) -> None:
    page = await open_studio(world, browser)
    await hold_parts(page, first=1)
    await begin_upload(page, file)
    card = page.get_by_role("article", name="a holiday")
    await card.get_by_role("button", name="Cancel upload").click()
    dialog = page.get_by_role("dialog", name="Cancel this upload?")
    await dialog.get_by_role("button", name="Cancel upload").click()
    await expect(card).to_have_count(0)
    await expect(page.get_by_text("Nothing here yet")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("Nothing here yet")).to_be_visible()


async def test_title_and_visibility_can_be_edited(world: World, browser: Browser) -> None:
    video_id = await world.uploaded(title="Before")
    page = await open_studio(world, browser)
    card = page.locator(f'[data-video-id="{video_id}"]')
    await card.get_by_role("button", name="Edit").click()
    await card.get_by_label("Title").fill("After")
    await card.get_by_label("Who can see it").select_option("private")
    await card.get_by_role("button", name="Save").click()
    await expect(card.get_by_role("heading", name="After")).to_be_visible()
    await expect(card.get_by_text("Only you")).to_be_visible()
    _, video = await world.call("GET", f"/v1/videos/{video_id}")
    assert (video["title"], video["visibility"]) == ("After", "private")


async def test_deleting_asks_first(world: World, browser: Browser) -> None:
    video_id = await world.uploaded()
    page = await open_studio(world, browser)
    card = page.locator(f'[data-video-id="{video_id}"]')
    dialog = page.get_by_role("dialog")
    await card.get_by_role("button", name="Delete").click()
    await dialog.get_by_role("button", name="Keep it").click()
    await expect(dialog).to_be_hidden()
    await expect(card).to_be_visible()
    await card.get_by_role("button", name="Delete").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(card).to_have_count(0)
    _, video = await world.call("GET", f"/v1/videos/{video_id}")
    assert video["state"] == "DELETED"


async def test_the_explain_panel_opens_and_closes(world: World, browser: Browser) -> None:
    video_id = await world.uploaded()
    page = await open_studio(world, browser)
    card = page.locator(f'[data-video-id="{video_id}"]')
    button = card.get_by_role("button", name="Explain")
    await button.click()
    await expect(card.get_by_role("heading", name="What it waits for")).to_be_visible()
    await expect(button).to_have_attribute("aria-expanded", "true")
    await button.click()
    await expect(card.get_by_role("heading", name="What it waits for")).to_be_hidden()


async def test_the_watch_page_says_why_there_is_nothing_to_watch(
    world: World, browser: Browser
) -> None:
    waiting = await world.uploaded(title="Waiting")
    private = await world.uploaded(visibility="private")
    blocked, deleted = await world.uploaded(), await world.uploaded()
    moderator = world.bearer("mo", "moderator")
    reason = {"reason": "Reported."}
    await world.call("POST", f"/v1/videos/{blocked}/block", reason, headers=moderator)
    await world.call("DELETE", f"/v1/videos/{deleted}")
    page = await open_page(browser)
    for video_id, title in (
        ("0" * 32, "There is no such video"),
        (private, "There is no such video"),
        (blocked, "You can't watch this video"),
        (deleted, "This video is gone"),
        (waiting, "Almost there"),
    ):
        await page.goto(address(world, f"/watch/{video_id}"))
        await expect(page.get_by_role("heading", name=title)).to_be_visible()
    await expect(page.get_by_role("heading", name="Waiting")).to_be_visible()


async def test_every_control_has_a_name(world: World, browser: Browser, file: Path) -> None:
    video_id = await world.uploaded()
    page = await open_studio(world, browser)
    await page.get_by_label("Choose a video").set_input_files(file)
    await page.get_by_role("button", name="Edit").click()
    await expect(page.get_by_role("button", name="Save")).to_be_visible()
    assert await nameless_controls(page) == []
    await page.goto(address(world, f"/watch/{video_id}"))
    await expect(page.get_by_role("heading", name="Almost there")).to_be_visible()
    assert await nameless_controls(page) == []


async def test_the_tab_key_goes_through_the_studio_in_reading_order(
    world: World, browser: Browser
) -> None:
    await world.uploaded()
    page = await open_studio(world, browser)
    await expect(page.get_by_role("button", name="Delete")).to_be_visible()
    reached = []
    for _ in range(8):
        await page.keyboard.press("Tab")
        words = "document.activeElement.textContent.trim() || document.activeElement.id"
        reached.append(await page.evaluate(words))
    assert reached == [
        "Skip to content", "Millrace", "Sign out", "file", "Explain", "Edit", "Cancel", "Delete",
    ]  # fmt: skip


async def test_nothing_needs_scrolling_sideways_on_a_phone(
    world: World, browser: Browser, file: Path
) -> None:
    video_id = await world.uploaded(title="Donaudampfschifffahrtsgesellschaftskapitän" * 4)
    page = await open_studio(world, browser, size=PHONE)
    await page.get_by_label("Choose a video").set_input_files(file)
    await page.get_by_role("button", name="Explain").click()
    await expect(page.get_by_role("heading", name="What it waits for")).to_be_visible()
    assert await overflow_px(page) <= 0
    await page.goto(address(world, f"/watch/{video_id}"))
    await expect(page.get_by_role("heading", name="Donau")).to_be_visible()
    assert await overflow_px(page) <= 0
