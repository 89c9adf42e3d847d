"""A video's way over the real stack, by the processes that operators start, killed on the way."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millrace.deploy.client import Target
from millrace.deploy.playing import play
from tests.e2e.cluster import Client, Cluster, Process, Stack
from tests.e2e.conftest import FRAMES
from tests.e2e.published import content, variants
from tests.e2e.servers import Answer, finished, free_port, request, wait_for
from tests.e2e.test_kills import CHUNKS, chunks
from tests.faults.proxy import Fault, FaultProxy
from tests.stack.servers import SharedS3, SharedServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # One set of processes for all of them.
    pytest.mark.xdist_group("cluster"),
]

# Each dies once, on the way of the first video that comes: where a fold has committed, where rows
# are written, where a result is durable, and where bytes are put and not said.
KILLS = (
    "sources@before-commit:2",
    "encoding@after-commit:3",
    "catalog@rows-written:2",
    "source-requests@work-emitted:2",
    "encode-requests-normal@worker/encode.put:1",
    "package-requests@work-before-done:1",
)


ANNOUNCED: dict[str, Any] = {"title": "nothing", "contentType": "video/mp4", "sizeBytes": 9}


@pytest.fixture(scope="module")
def stack(
    kafka: SharedServer, cassandra: SharedServer, s3_server: SharedS3, redis_server: SharedServer
) -> Stack:
    return Stack(kafka, cassandra, s3_server, redis_server)


class Site:
    """A cluster with two gateways, an edge and one worker of everything."""

    def __init__(self, cluster: Cluster, **settings: str) -> None:
        self.cluster = cluster
        self.gateways = cluster.gateway("one"), cluster.gateway("two")
        self.edge = cluster.edge()
        self.worker: Process = cluster.worker("all", **settings)
        cluster.make_ready()
        urls = cluster.started(cluster.processes)
        self.clients: tuple[Client, Client] = (
            cluster.client(urls["one"]),
            cluster.client(urls["two"]),
        )


@pytest.fixture(scope="module")
def site(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    cluster = Cluster.over(stack, tmp_path_factory.mktemp("cluster"))
    try:
        yield Site(cluster, kill_at=",".join(KILLS))
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def killed_on_the_way(site: Site, numbered: Path) -> Answer:
    """What `upload --json` says, though every kind of worker was killed once."""
    found = site.clients[0].run("upload", numbered, within_s=240)
    assert found.status == 0, found.text
    return found


def test_workers_killed_at_named_points_end_where_unkilled_ones_do(
    site: Site, killed_on_the_way: Answer, numbered_video: Answer
) -> None:
    marks = {place.name for place in (site.cluster.folder / "data").glob("killed-at-*")}
    assert marks == {f"killed-at-{spec.partition('@')[0]}" for spec in KILLS}
    # The same bytes and frames as the embedded engine's, which nobody killed.
    assert content(killed_on_the_way) == content(numbered_video)
    assert_said_once(site.clients[1], killed_on_the_way.json["video_id"])


class Weak:
    """A gateway whose ways to Cassandra and Redis can be broken."""

    def __init__(self, site: Site, stack: Stack) -> None:
        self.cassandra = FaultProxy((stack.cassandra.host, stack.cassandra.port))
        self.redis = FaultProxy((stack.redis.host, stack.redis.port))
        for proxy in (self.cassandra, self.redis):
            proxy.start()
        gateway = site.cluster.gateway("weak")
        gateway.settings |= {
            "cassandra_port": str(self.cassandra.port),
            "redis": f"redis://{self.redis.address}",
        }
        self.client = site.cluster.client(gateway.start())

    def close(self) -> None:
        for proxy in (self.cassandra, self.redis):
            proxy.stop()


@pytest.fixture(scope="module")
def weak(site: Site, stack: Stack) -> Iterator[Weak]:
    found = Weak(site, stack)
    yield found
    found.close()


def assert_said_once(client: Client, video_id: str) -> None:
    events = [one["event"] for one in client.records("publications", video_id)]
    assert events.count("VideoPublished") == 1
    said = [one for one in client.records("renditions") if one["body"]["video_id"] == video_id]
    assert chunks(said, reused=False) <= Counter(CHUNKS)
    assert set(chunks(said, reused=False) + chunks(said, reused=True)) == CHUNKS


async def test_what_was_watched_by_one_gateway_is_counted_by_another(
    site: Site, killed_on_the_way: Answer
) -> None:
    one, two = site.clients
    video_id = killed_on_the_way.json["video_id"]
    watched_ms = await play(Target(one.url, one.token("creator")), video_id)
    assert watched_ms >= 14_000

    def counted() -> Any:
        return two.call("GET", f"/v1/videos/{video_id}/views").json["counted"]

    assert await asyncio.to_thread(wait_for, counted, 60.0, "the view is counted") == 1


def test_a_gateway_and_an_edge_that_die_are_not_missed(
    site: Site, killed_on_the_way: Answer, numbered: Path
) -> None:
    one, _ = site.gateways
    before = announced(site.clients[1])
    upload = site.clients[0].begin("upload", numbered, "--json", "--title", "again")
    wait_for(lambda: announced(site.clients[1]) > before, 60, "the upload is announced")
    one.kill()
    one.start()
    found = finished(upload, 120)
    if found.status != 0:
        assert found.json["error"]["code"] in ("unreachable", "part_not_sent"), found.text
        found = site.clients[0].run("upload", numbered, "--title", "again", within_s=120)
    assert found.status == 0, found.text
    site.edge.kill()
    site.edge.start()
    shown = variants(found.json["hls_url"])
    assert [track.numbers() for track in shown.values()] == [list(range(FRAMES))] * 2
    assert_said_once(site.clients[1], found.json["video_id"])


def announced(client: Client) -> int:
    return sum(1 for one in client.records("uploads") if one["event"] == "UploadStarted")


def test_rows_are_made_again_switched_to_and_back(site: Site, killed_on_the_way: Answer) -> None:
    client = site.clients[1]
    video_id = killed_on_the_way.json["video_id"]
    compared = client.run("rebuild", "all", within_s=120)
    assert (compared.status, compared.json["differences"]) == (0, []), compared.text
    switched = client.run("rebuild", "all", "--switch", within_s=120)
    assert switched.json["keyspace"] != compared.json["keyspace"], switched.text
    assert client.call("GET", f"/v1/videos/{video_id}").json["state"] == "READY"
    back = client.run("rebuild", "all", "--roll-back", within_s=120)
    assert back.json["keyspace"] == compared.json["keyspace"], back.text
    assert client.call("GET", f"/v1/videos/{video_id}").json["state"] == "READY"
    checked = client.run("fsck", within_s=120).json
    assert (checked["missing"], checked["altered"], checked["orphans"]) == ([], [], [])


def test_without_tables_reads_degrade_and_writes_go_on_into_the_log(
    weak: Weak, killed_on_the_way: Answer
) -> None:
    client, video = weak.client, f"/v1/videos/{killed_on_the_way.json['video_id']}"
    assert client.call("GET", f"{video}/playback", role=None).status == 200
    # What was played is kept in Redis: a test that takes that away comes after this one.
    with weak.cassandra.broken(Fault(refuse=True)):
        assert client.call("GET", f"{video}/playback", role=None).status == 200
        refused = client.call("GET", video)
        assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (503, True)
        begun = client.call("POST", "/v1/uploads", ANNOUNCED)
        assert begun.status == 201, begun.text
        (part,) = begun.json["partUrls"]
        put = request("PUT", part["url"], b"x" * ANNOUNCED["sizeBytes"])
        assert put.status == 200, put.text
        etags = {"parts": [{"number": 1, "etag": put.headers["ETag"].strip('"')}]}
        path = f"/v1/uploads/{begun.json['uploadSessionId']}/complete"
        headers = {"Millrace-Position": begun.headers["Millrace-Position"]}
        done = client.call("POST", path, etags, headers=headers)
        assert (done.status, done.json["state"]) == (202, "PENDING"), done.text
    back = time.monotonic()
    wait_for(lambda: client.call("GET", video).status == 200, 10, "rows are read again")
    ended = f"/v1/videos/{begun.json['videoId']}"
    # It is no video; what matters is that what was acknowledged was heard.
    wait_for(lambda: client.call("GET", ended).json.get("state") == "FAILED", 60, "it was heard")
    assert time.monotonic() - back < 60


def test_without_redis_everything_works(weak: Weak, killed_on_the_way: Answer) -> None:
    with weak.redis.broken(Fault(refuse=True)):
        video_id = killed_on_the_way.json["video_id"]
        assert weak.client.call("GET", f"/v1/videos/{video_id}/playback", role=None).status == 200
        assert weak.client.call("POST", "/v1/uploads", ANNOUNCED).status == 201


def test_without_kafka_a_gateway_starts_reads_and_says_when_to_come_again(
    site: Site, killed_on_the_way: Answer
) -> None:
    gateway = site.cluster.gateway("cut off")
    gateway.settings["kafka"] = f"127.0.0.1:{free_port()}"
    client = site.cluster.client(gateway.start())
    assert client.call("GET", "/healthz").status == 200
    assert client.call("GET", "/readyz").status == 503
    refused = client.call("POST", "/v1/uploads", ANNOUNCED)
    assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (503, True)
    video_id = killed_on_the_way.json["video_id"]
    assert client.call("GET", f"/v1/videos/{video_id}").json["state"] == "READY"
    gateway.stop()


def test_told_to_end_everything_ends_by_itself(site: Site, killed_on_the_way: Answer) -> None:
    every = [process for process in site.cluster.processes.values() if process.alive]
    for process in every:
        assert process.running is not None
        process.running.send_signal(signal.SIGTERM)
    assert [process.died() for process in every] == [0] * len(every)
