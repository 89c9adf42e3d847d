"""`millrace demo --once`: the whole way with a server of its own, and a view that is counted."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import FRAMES, SECONDS
from tests.e2e.servers import COMMAND, environment, finished

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_demo_once_ends_by_itself_with_a_counted_view(numbered: Path, tmp_path: Path) -> None:
    options = ["--once", "--json", "--video", str(numbered), "--data-dir", str(tmp_path / "demo")]
    process = subprocess.Popen(
        [*COMMAND, "demo", *options],
        env=environment({"workers": "2"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    found = finished(process, within_s=150)
    assert found.status == 0, found.text
    assert found.json["state"] == "READY"
    assert found.json["counted_views"] == 1
    assert found.json["source"]["frames"] == FRAMES
    assert [one["frames"] for one in found.json["renditions"]] == [FRAMES, FRAMES]
    assert found.json["audio"][0]["segments"] == 3
    assert found.json["source"]["duration_ms"] == SECONDS * 1000
    assert found.json["seconds"].keys() == {"playable", "published"}
    assert not (tmp_path / "demo" / "server.json").exists(), "its server ended"


def test_demo_of_what_is_no_video_fails_and_says_why(tmp_path: Path) -> None:
    diary = tmp_path / "diary.mp4"
    diary.write_text("Dear diary, this is no video.\n" * 100)
    options = ["--once", "--json", "--video", str(diary), "--data-dir", str(tmp_path / "demo")]
    process = subprocess.Popen(
        [*COMMAND, "demo", *options],
        env=environment({"workers": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    found = finished(process)
    assert found.status == 1
    assert found.json["state"] == "FAILED"
    assert found.json["error"]["code"] == "not_a_video"
    assert found.json["error"]["text"].endswith(".")
