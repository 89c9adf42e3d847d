"""A real Chromium for tests: how it is started, and what they all ask of a page.

It must never change how a page behaves: no injected scripts, no faked answers.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page, async_playwright, expect

ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
)
DESKTOP = (1280, 900)
PHONE = (360, 740)
# Roles of what a person can operate; each must say what it is (WCAG 4.1.2).
CONTROLS = frozenset(
    {"button", "checkbox", "combobox", "link", "menuitem", "slider", "switch", "textbox"}
)


@asynccontextmanager
async def started(executable: str) -> AsyncIterator[Browser]:
    """A browser of its own, without the sandbox where root runs it: Chromium refuses otherwise."""
    # Assertions wait for what they expect; a machine that encodes meanwhile is slow.
    expect.set_options(timeout=20_000)
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=[*ARGUMENTS, *sandbox]
        )
        yield browser
        await browser.close()


async def open_page(browser: Browser, size: tuple[int, int] = DESKTOP) -> Page:
    """A page of a fresh visitor, which fails the test at any error that nobody caught."""
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]})
    # Absence is waited for as well; a page that is as slow as this is broken.
    context.set_default_timeout(15_000)
    return await context.new_page()


async def nameless_controls(page: Page) -> list[str]:
    """Controls, those in shadow trees too, that a screen reader could not name."""
    session = await page.context.new_cdp_session(page)
    tree = await session.send("Accessibility.getFullAXTree")
    return [
        f"{value(node, 'role')} {node.get('properties')}"
        for node in tree["nodes"]
        if not node["ignored"] and value(node, "role") in CONTROLS and not value(node, "name")
    ]


def value(node: dict[str, Any], name: str) -> str:
    return str(node.get(name, {}).get("value", "")).strip()


async def overflow_px(page: Page) -> int:
    """How many pixels a reader would have to scroll sideways."""
    return int(
        await page.evaluate("document.documentElement.scrollWidth - document.body.clientWidth")
    )
