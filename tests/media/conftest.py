"""Generated sources, each made once a session and only when a test asks for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media.clips import CLIPS, Clip, make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Clip], Path]:
    """Gives the path of a clip, which is generated at the first call for its name."""
    directory = tmp_path_factory.mktemp("clips")
    paths: dict[str, Path] = {}

    def path_of(clip: Clip) -> Path:
        if clip.name not in paths:
            paths[clip.name] = make(clip, directory)
        return paths[clip.name]

    return path_of


@pytest.fixture(scope="session")
def source(
    made: Callable[[Clip], Path], big_buck_bunny: Path, bikes: Path
) -> Callable[[str], Path]:
    """Gives the path of a source by its name: one of CLIPS, or one of the two real clips."""
    real = {path.name: path for path in (big_buck_bunny, bikes)}

    def path_of(name: str) -> Path:
        return real[name] if name in real else made(CLIPS[name])

    return path_of
