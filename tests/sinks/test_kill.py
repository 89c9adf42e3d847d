"""kill -9 at every line of a completion: the upload is still completable, or it is complete."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_an_upload_killed_at_any_line_of_complete_is_completable_or_complete(
    tmp_path: Path,
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.sinks.kill_complete", str(tmp_path / "store")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    words = ran.stdout.split()
    found = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    assert found["lines"] == found["completable"] + found["complete"]
    assert found["completable"] > 20
    assert found["complete"] > 5
