"""The sources that go the whole way, generated once a process."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.e2e.servers import Answer, RunningMillrace
from tests.media.clips import FAST, Clip, constant, make

RATE = Fraction(10)
SECONDS = 14
FRAMES = int(RATE) * SECONDS
# Becomes 320x240 and itself: whole macroblocks, whose bytes are the same in every run.
SIZE = (448, 336)


@pytest.fixture(scope="session")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 s with sound in 140 numbered frames: long and large enough for two rungs, each a group of
    its own, and three chunks; small enough that they cost almost nothing."""
    pts = constant(RATE, SECONDS)
    clip = Clip("numbered.mp4", pts, 1 / RATE, options=FAST, gop=20, size=SIZE, beeps=True)
    return make(clip, tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def numbered_video(running_millrace: RunningMillrace, numbered: Path) -> Answer:
    """What `upload --json` says of the numbered clip, where nothing went wrong."""
    found = running_millrace.run("upload", numbered, within_s=120)
    assert found.status == 0, found.text
    return found
