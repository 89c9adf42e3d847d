"""What every test may ask for: the real clips, a browser, real servers (tests/stack).

It must never start anything by itself.
"""

import os
import shutil
from pathlib import Path

import pytest

pytest_plugins = ("tests.e2e.servers", "tests.stack.fixtures")
ROOT = Path(__file__).resolve().parent.parent
CLIPS = ROOT / "var" / "clips"
# The same places, in the same order, as tests/install_chromium looks.
BROWSERS = (
    os.environ.get("CHROMIUM", ""),
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos", action="store_true", help="long proofs, as `make chaos` asks")


def clip(name: str) -> Path:
    """A real clip that `make` fetched; without it nothing useful can be tested, so it fails."""
    path = CLIPS / name
    assert path.is_file(), f"{name} is missing: run `make clips`"
    return path


@pytest.fixture(scope="session")
def big_buck_bunny() -> Path:
    """1280x720, 25 fps, 132 frames in one GOP, 5.28 s, AAC 5.1 at 48 kHz."""
    return clip("bigbuckbunny.mp4")


@pytest.fixture(scope="session")
def bikes() -> Path:
    """640x272, 25 fps, 250 frames in six GOPs, no sound, 10 s."""
    return clip("bikes.mp4")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium. Skips without one, and fails where CI=true."""
    for browser in BROWSERS:
        found = shutil.which(browser) if browser else None
        if found:
            return found
    reason = "no Chromium on this machine: tests/install_chromium says how to get one"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
