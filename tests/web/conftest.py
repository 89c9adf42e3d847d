"""A browser for the tests of the pages, and a gateway without encoders."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser

from tests.gateway.world import World, build_world, close
from tests.web.browsing import started


@pytest_asyncio.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with started(chromium) as found:
        yield found


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A running gateway and its object door, with pages; nothing encodes."""
    found = await build_world(tmp_path)
    yield found
    await close(found)
