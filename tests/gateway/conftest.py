"""A running gateway for every test that asks for `world`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.gateway.world import World, build_world, close


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    found = await build_world(tmp_path)
    yield found
    await close(found)


@pytest_asyncio.fixture
async def patient(tmp_path: Path) -> AsyncIterator[World]:
    """A gateway that waits five seconds for a projection: long enough for a test to tell."""
    found = await build_world(tmp_path, projection_wait_s=5.0)
    yield found
    await close(found)
