"""A video's way through a real server: what the command line says, and what a player then gets."""

from pathlib import Path

import pytest

from tests.e2e.conftest import FRAMES, SECONDS
from tests.e2e.published import dash_addresses, sounds, variants
from tests.e2e.servers import Answer, RunningMillrace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_upload_says_what_became_of_the_video(numbered_video: Answer) -> None:
    found = numbered_video.json
    assert found["state"] == "READY"
    assert found["source"] == {
        "frames": FRAMES,
        "duration_ms": SECONDS * 1000,
        "width": 448,
        "height": 336,
    }
    sizes = [(one["rung"], one["width"], one["height"]) for one in found["renditions"]]
    assert sizes == [("240p", 320, 240), ("360p", 448, 336)]
    for one in found["renditions"]:
        assert one["codec"].startswith("avc1.")
        assert (one["segments"], one["frames"]) == (3, FRAMES)
        assert one["duration_ms"] == SECONDS * 1000
        assert one["bytes"] > 0
    (sound,) = found["audio"]
    assert sound["codec"] == "mp4a.40.2"
    assert abs(sound["duration_ms"] - SECONDS * 1000) < 50
    assert 0 < found["seconds"]["playable"] <= found["seconds"]["published"]
    keys = {"video_id", "state", "hls_url", "dash_url", "source", "renditions", "audio", "seconds"}
    assert keys <= found.keys()


def test_every_rung_shows_each_frame_of_the_source_once_and_in_order(
    numbered_video: Answer,
) -> None:
    found = variants(numbered_video.json["hls_url"])
    assert sorted(found) == [(320, 240), (448, 336)]
    for track in found.values():
        assert track.ended
        assert track.seconds == pytest.approx(SECONDS)
        assert track.numbers() == list(range(FRAMES))


def test_the_sound_lasts_as_long_as_the_pictures(numbered_video: Answer) -> None:
    (sound,) = sounds(numbered_video.json["hls_url"])
    assert sound.seconds == pytest.approx(SECONDS, abs=0.05)
    assert sound.samples() / 48_000 == pytest.approx(SECONDS, abs=0.05)


def test_dash_names_the_same_segments_as_hls(numbered_video: Answer) -> None:
    found = numbered_video.json
    tracks = [*variants(found["hls_url"]).values(), *sounds(found["hls_url"])]
    assert dash_addresses(found["dash_url"]) == {url for one in tracks for url in one.addresses}


def test_the_sizes_that_are_said_are_those_that_are_served(numbered_video: Answer) -> None:
    found = numbered_video.json
    tracks = variants(found["hls_url"])
    for one in found["renditions"]:
        served = len(tracks[one["width"], one["height"]].body)
        # The init segment is served besides what the rung's own size counts.
        assert one["bytes"] <= served < one["bytes"] + 2_000


def test_what_operators_read_agrees(
    running_millrace: RunningMillrace, numbered_video: Answer
) -> None:
    video_id = numbered_video.json["video_id"]
    names = [one["event"] for one in running_millrace.records("publications", video_id)]
    assert names.count("VideoPublished") == 1
    assert names.index("VideoPlayable") < names.index("VideoPublished")
    explained = running_millrace.run("explain", video_id).json
    assert explained["state"] == "READY"
    assert [one["event"] for one in explained["history"]] == [
        name for name in names if name in {one["event"] for one in explained["history"]}
    ]
    status = running_millrace.run("status", video_id)
    assert {rung["rung"]: rung["chunksDone"] for rung in status.json["rungs"]} == {
        "240p": 3,
        "360p": 3,
    }
    assert video_id in [one["videoId"] for one in running_millrace.run("videos").json["items"]]
    log = running_millrace.run("log", "publications", "--limit", "5")
    assert log.status == 0
    letters = running_millrace.run("dead-letters", "list")
    assert letters.json["items"] == []


def test_a_command_without_its_server_says_so(
    tmp_path: Path, running_millrace: RunningMillrace
) -> None:
    nobody = RunningMillrace(tmp_path / "nothing", 0, 0, {})
    found = nobody.run("videos")
    assert found.status == 1
    assert found.json["error"]["code"] == "no_server"
    assert running_millrace.run("status", "0" * 32).json["error"]["code"] == "not_found"
    assert running_millrace.run("upload", tmp_path / "missing.mp4").status == 2
