"""A full disk, a held lock, a stop, a second server (OPS-7).

Each is said clearly, and nothing that was acknowledged is lost.
"""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.e2e.published import content
from tests.e2e.servers import (
    Answer,
    NotReady,
    RunningMillrace,
    ServerFactory,
    finished,
    request,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
SIZE_BYTES = 6 << 20
BODY = {"title": "a clip", "contentType": "video/mp4", "sizeBytes": SIZE_BYTES}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB. Only root on Linux may have one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "millrace-test", str(place)]
    linux = sys.platform == "linux"
    mounted = linux and subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not mounted:
        pytest.skip("NO SMALL DISK: mounting one takes root on Linux; a full disk was not tested")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_said_and_work_goes_on_when_there_is_space(
    small_disk: Path, server_factory: ServerFactory, numbered: Path
) -> None:
    server = server_factory("disk/data")
    server.start()
    before = server.run("upload", numbered)
    assert before.status == 0, before.text
    session = server.call("POST", "/v1/uploads", BODY).json
    url = session["partUrls"][0]["url"]

    ballast = small_disk / "ballast"
    fill(ballast)
    refused = request("PUT", url, bytes(SIZE_BYTES))
    assert refused.status == 507, refused.text
    assert int(refused.headers["Retry-After"]) >= 1
    (announced,) = wait_for(lambda: refusal(server), 30, "the log is full")
    assert announced.status == 503
    assert int(announced.headers["Retry-After"]) >= 1
    assert announced.json["code"] == "busy"
    assert server.call("GET", f"/v1/videos/{before.json['video_id']}").status == 200

    ballast.unlink()
    assert request("PUT", url, bytes(SIZE_BYTES)).status == 200
    after = server.run("upload", numbered, "--title", "after")
    assert after.status == 0, after.text
    assert [one["rung"] for one in after.json["renditions"]] == ["240p", "360p"]
    assert_consistent(server)
    assert server.process is not None
    assert server.process.poll() is None, "it was never restarted"


def test_a_disk_that_is_full_in_the_middle_of_encoding_costs_time_alone(
    small_disk: Path, server_factory: ServerFactory, numbered: Path, numbered_video: Answer
) -> None:
    server = server_factory("disk/data")
    server.start()
    client = server.begin("upload", numbered, "--json")
    wait_for(lambda: encoded(server), 60, "a chunk is encoded")
    ballast = small_disk / "ballast"
    fill(ballast)
    wait_for(lambda: busy_times(server) >= 2, 60, "somebody meets the full disk")
    ballast.unlink()
    found = finished(client, within_s=120)
    assert found.status == 0, found.text
    assert content(found) == content(numbered_video)
    assert said(server, "renditions", "EncodeFailed") == 0, "a full disk is no attempt"
    assert_consistent(server)


def test_a_log_that_another_process_holds_is_busy_and_then_goes_on(
    server_factory: ServerFactory,
) -> None:
    server = server_factory()
    server.start()
    with held(server.data_dir / "engine.sqlite"):
        refused = server.call("POST", "/v1/uploads", BODY)
        assert refused.status == 503, refused.text
        assert refused.json["code"] == "busy"
        assert int(refused.headers["Retry-After"]) >= 1
    assert server.call("POST", "/v1/uploads", BODY).status == 201


@pytest.mark.parametrize("name", ["engine.sqlite", "tables.sqlite", "objects/index.sqlite"])
def test_a_lock_that_is_held_for_seconds_costs_time_alone(
    name: str, server_factory: ServerFactory, numbered: Path, numbered_video: Answer
) -> None:
    server = server_factory()
    server.start()
    client = server.begin("upload", numbered, "--json")
    wait_for(lambda: encoded(server), 60, "a chunk is encoded")
    # Longer than SQLite itself waits.
    with held(server.data_dir / name), pytest.raises(subprocess.TimeoutExpired):
        client.wait(6)
    found = finished(client)
    assert found.status == 0, found.text
    assert content(found) == content(numbered_video)
    assert said(server, "sources", "SourceStepFailed") == 0
    assert said(server, "renditions", "EncodeFailed") == 0
    assert_consistent(server)


def test_a_stop_with_work_in_hand_loses_nothing(
    server_factory: ServerFactory, numbered: Path, numbered_video: Answer
) -> None:
    server = server_factory()
    server.start()
    client = server.begin("upload", numbered, "--json")
    wait_for(lambda: encoded(server), 60, "a chunk is encoded")
    children = psutil.Process(server.pid).children(recursive=True)
    assert server.stop() == 0, server.notes.read_text()
    assert not any(child.is_running() for child in children)
    assert not (server.data_dir / "server.json").exists()

    server.start()
    found = finished(client)
    assert found.status == 0, found.text
    assert content(found) == content(numbered_video)
    assert said(server, "publications", "VideoPublished") == 1
    assert_consistent(server)


def test_a_second_server_on_the_same_folder_is_refused(server_factory: ServerFactory) -> None:
    first = server_factory()
    first.start()
    second = RunningMillrace(first.data_dir, 0, 0, {"workers": "1"})
    with pytest.raises(NotReady, match=rf"{first.pid}"):
        second.start()
    assert second.process is not None
    assert second.process.returncode == 1
    assert first.call("GET", "/readyz").status == 200


def test_a_port_that_is_taken_is_said(server_factory: ServerFactory) -> None:
    first, second = server_factory("first"), server_factory("second")
    first.start()
    second.port = first.port
    with pytest.raises(NotReady, match="can't start"):
        second.start()
    assert second.process is not None
    assert second.process.returncode == 1


def fill(ballast: Path) -> None:
    """Writes until there is no space at all."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def refusal(server: RunningMillrace) -> list[Answer]:
    """The answer to an announcement, where it is no success: small ones fit for a while."""
    found = server.call("POST", "/v1/uploads", BODY)
    return [] if found.status == 201 else [found]


def busy_times(server: RunningMillrace) -> float:
    """How often the engine met a store that was busy or full."""
    text = server.call("GET", "/metrics", role="operator").text
    lines = [line.split() for line in text.splitlines() if line.startswith("millrace_busy_total")]
    return sum(float(words[1]) for words in lines)


def said(server: RunningMillrace, topic: str, event: str) -> int:
    """How often an event stands on the log."""
    return sum(one["event"] == event for one in server.records(topic))


def encoded(server: RunningMillrace) -> int:
    """Chunks that are done of the newest video, over all rungs."""
    videos = server.call("GET", "/v1/creators/me/videos?limit=1").json["items"]
    if not videos:
        return 0
    status = server.call("GET", f"/v1/videos/{videos[0]['videoId']}/status").json
    return sum(int(rung["chunksDone"]) for rung in status["rungs"])


@contextmanager
def held(database: Path) -> Iterator[None]:
    """Nobody else writes the database, as while a backup tool holds it."""
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def assert_consistent(server: RunningMillrace) -> None:
    rebuilt = server.call("POST", "/v1/operations/rebuild", {"projection": "all"}, "operator")
    assert rebuilt.json["differences"] == []
    checked = server.call("POST", "/v1/operations/fsck", role="operator").json
    assert (checked["missing"], checked["altered"]) == ([], [])
    letters = server.call("GET", "/v1/dead-letters", role="operator")
    assert letters.json["items"] == []
