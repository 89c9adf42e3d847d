"""Uploads that are broken off, repeated, or made at the same time (ING-2, ING-3)."""

import random
from pathlib import Path

import pytest

from millrace.deploy.client import Client, Target
from millrace.deploy.uploading import Sessions, upload
from tests.e2e.servers import RunningMillrace, ServerFactory, finished, request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
PART_BYTES = 8 << 20


class Broken(Exception):
    """The client that this test breaks off."""


@pytest.fixture
def four_parts(tmp_path: Path) -> Path:
    """A file of four whole parts."""
    path = tmp_path / "noise.mp4"
    path.write_bytes(random.Random(1).randbytes(4 * PART_BYTES))
    return path


async def test_an_upload_that_was_broken_off_sends_only_what_is_missing(
    running_millrace: RunningMillrace, four_parts: Path, tmp_path: Path
) -> None:
    at = Target(running_millrace.url, running_millrace.token("creator"))
    sessions = Sessions(tmp_path / "uploads.json")

    def break_off(sent_bytes: int, _total: int) -> None:
        if sent_bytes:
            raise Broken

    async with Client(at) as client:
        with pytest.raises(Broken):
            await upload(client, four_parts, sessions, break_off)
        said: list[int] = []
        again = await upload(client, four_parts, sessions, lambda sent, _total: said.append(sent))
        assert sessions.all() == {}
        other = await upload(client, four_parts, sessions, lambda _sent, _total: None)

    # What the store has is said first, then each part as it is sent.
    there = said[0] // PART_BYTES
    assert there >= 1
    assert said == [count * PART_BYTES for count in range(there, 5)]
    assert other.video_id != again.video_id, "a completed upload is not what a later one resumes"


async def test_an_upload_whose_completion_was_not_answered_is_not_made_twice(
    running_millrace: RunningMillrace, four_parts: Path, tmp_path: Path
) -> None:
    at = Target(running_millrace.url, running_millrace.token("creator"))
    place = tmp_path / "uploads.json"

    class Forgetful(Sessions):
        def forget(self, name: str) -> None:
            """The client died before it could."""

    async with Client(at) as client:
        first = await upload(client, four_parts, Forgetful(place), lambda _sent, _total: None)
        second = await upload(client, four_parts, Sessions(place), lambda _sent, _total: None)
    assert second == first


def test_complete_may_be_repeated(running_millrace: RunningMillrace) -> None:
    body = {"title": "ten bytes", "contentType": "video/mp4", "sizeBytes": 10}
    session = running_millrace.call("POST", "/v1/uploads", body).json
    put = request("PUT", session["partUrls"][0]["url"], b"0123456789")
    assert put.status == 200
    parts = {"parts": [{"number": 1, "etag": put.headers["ETag"]}]}
    address = f"/v1/uploads/{session['uploadSessionId']}/complete"
    answers = [running_millrace.call("POST", address, parts) for _ in range(3)]
    assert [one.status for one in answers] == [202, 202, 202]
    assert answers[0].json == answers[1].json == answers[2].json
    events = [one["event"] for one in running_millrace.records("uploads", session["videoId"])]
    assert events.count("SourceStored") == 1


def test_two_files_at_once_are_two_videos(
    running_millrace: RunningMillrace, numbered: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(numbered.read_bytes())
    clients = [running_millrace.begin("upload", path, "--json") for path in (numbered, copy)]
    answers = [finished(client) for client in clients]
    assert [one.status for one in answers] == [0, 0], [one.text for one in answers]
    assert answers[0].json["video_id"] != answers[1].json["video_id"]
    shapes = [
        [(r["rung"], r["segments"], r["frames"]) for r in one.json["renditions"]] for one in answers
    ]
    assert shapes[0] == shapes[1]


def test_a_client_whose_server_goes_away_says_so_in_json(
    server_factory: ServerFactory, four_parts: Path
) -> None:
    server = server_factory(kill_at="after-commit:1")
    server.start()
    found = finished(server.begin("upload", four_parts, "--json"))
    assert found.status == 1
    assert found.json["state"] == "ERROR"
    assert found.json["error"]["code"] == "unreachable"
