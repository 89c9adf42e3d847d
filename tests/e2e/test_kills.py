"""kill -9 of a real server, and of a worker alone, at each named point of a video's way.

What is published afterwards is what an unkilled server publishes; it is said once; and nothing
that was encoded before is encoded again (OPS-7, TRN-11).
"""

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from millrace.schemas import codec
from millrace.schemas.events import ChunkEncoded
from millrace.streams import points
from tests.e2e.published import content
from tests.e2e.servers import Answer, RunningMillrace, ServerFactory, finished, wait_for
from tests.e2e.stored import blobs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
DIES_WITHIN_S = 60.0
# Two rungs of three chunks.
CHUNKS = {(rung, number) for rung in ("240p", "360p") for number in range(3)}

# The n-th pass lies on the way of every run: while parts arrive, while it is cut and encoded, while
# it is published. The engine passes its points many times a video, how often depends on what
# comes together in one transaction.
ENGINE = (
    f"{points.BEFORE_WRITE}:2",
    f"{points.BEFORE_WRITE}:9",
    f"{points.BEFORE_COMMIT}:1",
    f"{points.BEFORE_COMMIT}:14",
    f"{points.AFTER_COMMIT}:1",
    f"{points.AFTER_COMMIT}:11",
    f"{points.AFTER_ACKNOWLEDGE}:1",
    f"{points.AFTER_ACKNOWLEDGE}:6",
    f"{points.WORK_TAKEN}:2",
    f"{points.WORK_EMITTED}:7",
    f"{points.WORK_BEFORE_DONE}:3",
    f"{points.WORK_DONE}:4",
    f"{points.ROWS_WRITTEN}:1",
    f"{points.ROWS_WRITTEN}:8",
)
WORK = (
    "probe.done:1",
    "cut.put:1",
    "cut.said:2",
    "audio.put:1",
    "encode.begin:2",
    "encode.put:1",
    "encode.put:4",
    "encode.said:2",
    "package.finished:1",
    "package.put:1",
    "package.put:2",
)
WORKER = tuple(f"worker/{point}" for point in WORK)


@pytest.fixture(scope="session")
def unkilled(numbered_video: Answer) -> dict[str, object]:
    """What a player can reach of the clip where nothing was killed, by path."""
    return content(numbered_video)


@pytest.mark.parametrize("point", [*ENGINE, *WORK])
def test_a_killed_server_ends_where_an_unkilled_one_does(
    point: str, server_factory: ServerFactory, numbered: Path, unkilled: dict[str, object]
) -> None:
    server = server_factory()
    server.start(kill_at=point)
    client = server.begin("upload", numbered, "--json")
    assert server.died(DIES_WITHIN_S) == -signal.SIGKILL
    made_before = notes(server)

    server.start()
    found = finished(client)
    if found.status != 0:
        # It was killed under the client's hands; the same command goes on where it stopped.
        assert found.json["error"]["code"] in ("unreachable", "part_not_sent"), found.text
        found = server.run("upload", numbered)

    assert_published_once(server, found, unkilled)
    # What was noted was not made again: to encode takes another time each time.
    again = {chunk: cpu_s for chunk, cpu_s in paid(server).items() if chunk in made_before}
    assert again.items() <= made_before.items()


@pytest.mark.parametrize("point", WORKER)
def test_a_killed_worker_costs_an_attempt_and_no_work_that_was_said(
    point: str, server_factory: ServerFactory, numbered: Path, unkilled: dict[str, object]
) -> None:
    server = server_factory(kill_at=point)
    server.start()
    found = server.run("upload", numbered)
    assert_published_once(server, found, unkilled)
    assert (server.data_dir / "killed-at").read_text() == point


@pytest.mark.parametrize("who", ["", "worker/"], ids=["server", "worker"])
def test_what_was_put_but_not_said_is_verified_and_said_as_reused(
    who: str, server_factory: ServerFactory, numbered: Path
) -> None:
    server = server_factory(kill_at=f"{who}encode.put:3")
    server.start()
    client = server.begin("upload", numbered, "--json")
    if who == "":
        assert server.died(DIES_WITHIN_S) == -signal.SIGKILL
        assert len(notes(server)) == 3
        server.start()
    assert finished(client).status == 0

    said = server.records("renditions")
    (unsaid,) = chunks(said, reused=True)
    assert chunks(said, reused=False) == Counter(CHUNKS - {unsaid})


def test_a_deadline_that_was_folded_but_not_written_passes_once(
    server_factory: ServerFactory,
) -> None:
    server = server_factory(upload_expires_s="1")
    server.start(kill_at=f"{points.TIMER_FOLDED}:1")
    body = {"title": "never sent", "contentType": "video/mp4", "sizeBytes": 10}
    begun = server.call("POST", "/v1/uploads", body)
    assert begun.status == 201, begun.text
    assert server.died(DIES_WITHIN_S) == -signal.SIGKILL

    server.start()
    session = f"/v1/uploads/{begun.json['uploadSessionId']}"
    wait_for(lambda: server.call("GET", session).json["state"] == "expired", 30, "it expires")
    events = [one["event"] for one in server.records("uploads", begun.json["videoId"])]
    assert events == ["UploadStarted", "UploadExpired"]


def assert_published_once(
    server: RunningMillrace, found: Answer, unkilled: dict[str, object]
) -> None:
    assert found.status == 0, found.text
    assert content(found) == unkilled
    events = [one["event"] for one in server.records("publications")]
    assert events.count("VideoPublished") == 1
    said = server.records("renditions")
    # Said again by another attempt, a chunk is marked as reused: nobody paid for it twice.
    assert chunks(said, reused=False) <= Counter(CHUNKS)
    assert set(chunks(said, reused=False) + chunks(said, reused=True)) == CHUNKS
    rebuilt = server.call("POST", "/v1/operations/rebuild", {"projection": "all"}, "operator")
    assert rebuilt.json["differences"] == []
    checked = server.call("POST", "/v1/operations/fsck", role="operator").json
    assert (checked["missing"], checked["altered"], checked["orphans"]) == ([], [], [])


def chunks(records: list[dict[str, Any]], reused: bool) -> Counter[tuple[str, int]]:
    """How often each chunk of each rung was said to be encoded, or to be there already."""
    bodies = [one["body"] for one in records if one["event"] == "ChunkEncoded"]
    return Counter((one["rung"], one["number"]) for one in bodies if one["reused"] is reused)


def notes(server: RunningMillrace) -> dict[tuple[str, int], float]:
    """The CPU seconds of each chunk of a rung that was noted as made, by rung and number."""
    found = [codec.decode(path.read_bytes()) for path in blobs(server, "made/").values()]
    made = [event for event in found if isinstance(event, ChunkEncoded)]
    return {(event.rung, event.number): event.cpu_seconds for event in made}


def paid(server: RunningMillrace) -> dict[tuple[str, int], float]:
    """The CPU seconds of each chunk of a rung that was said to be encoded."""
    bodies = [one["body"] for one in server.records("renditions") if one["event"] == "ChunkEncoded"]
    return {(one["rung"], one["number"]): one["cpu_seconds"] for one in bodies if not one["reused"]}
