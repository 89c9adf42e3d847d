"""Servers of the stack killed under a cluster: what each takes away, and that nothing is lost
(OPS-7)."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Client, Cluster, Stack
from tests.e2e.published import content
from tests.e2e.servers import Answer, finished, wait_for
from tests.e2e.test_cluster import assert_said_once
from tests.stack.servers import PrivateS3, PrivateServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    # One set of servers and processes for all of them, broken in turn.
    pytest.mark.xdist_group("outages"),
]

# The promise is 10 s after the server is; the rest is for a machine with more to do.
BACK_WITHIN_S = 30.0
UPLOAD = {
    "title": "While it was away",
    "visibility": "public",
    "contentType": "video/mp4",
    "sizeBytes": 6 << 20,
}


class Broken:
    """A cluster over servers that a test may kill."""

    def __init__(self, servers: dict[str, PrivateServer], folder: Path) -> None:
        self.servers = servers
        s3 = PrivateS3(servers["s3"].server)
        stack = Stack(servers["kafka"], servers["cassandra"], s3, servers["redis"])
        self.cluster = Cluster.over(stack, folder)
        self.cluster.make_ready()
        for process in (self.cluster.gateway(), self.cluster.edge(), self.cluster.worker("all")):
            process.begin()
        urls = {name: one.wait() for name, one in self.cluster.processes.items()}
        self.client: Client = self.cluster.client(urls["gateway"])

    def again(self, name: str) -> None:
        """The server dies as in a power cut, and comes back with its data."""
        self.servers[name].kill()
        self.servers[name].start()


@pytest.fixture(scope="module")
def broken(module_servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    servers = {name: module_servers(name) for name in ("kafka", "cassandra", "s3", "redis")}
    for server in servers.values():
        server.start()
    site = Broken(servers, tmp_path_factory.mktemp("outages"))
    yield site
    site.cluster.close()


@pytest.fixture(scope="module")
def uploaded(broken: Broken, numbered: Path) -> Answer:
    """A video on whose way each of the four servers was killed once."""
    client = broken.client
    upload = client.begin("upload", numbered, "--json")
    for topic, name in (
        ("uploads", "redis"),
        ("sources", "kafka"),
        ("renditions", "cassandra"),
        ("publications", "s3"),
    ):
        wait_for(partial(said, client, topic), 120, f"something on {topic}")
        broken.again(name)
    found = finished(upload, 240)
    if found.status != 0:
        # A server was killed under the client's hands; the same command goes on.
        found = client.run("upload", numbered, within_s=240)
    assert found.status == 0, found.text
    return found


def said(client: Client, topic: str) -> bool:
    """Whether a log that may be away has a record of the topic."""
    answer = client.call("GET", f"/v1/log/{topic}?partition=0&limit=1", role="operator")
    ends = [answer]
    if answer.status == 200:
        others = range(1, answer.json["partitions"])
        ends += [
            client.call("GET", f"/v1/log/{topic}?partition={n}&limit=1", role="operator")
            for n in others
        ]
    return any(one.status == 200 and one.json["end"] > 0 for one in ends)


def test_a_video_comes_to_the_same_end_though_every_server_was_killed_on_its_way(
    broken: Broken, uploaded: Answer, numbered_video: Answer
) -> None:
    assert content(uploaded) == content(numbered_video)
    assert_said_once(broken.client, uploaded.json["video_id"])


def test_without_the_database_what_was_read_is_read_on_and_writes_go_into_the_log(
    broken: Broken, uploaded: Answer
) -> None:
    client, video = broken.client, uploaded.json["video_id"]
    assert client.call("GET", f"/v1/videos/{video}/playback").status == 200
    broken.servers["cassandra"].kill()
    assert client.call("GET", f"/v1/videos/{video}/playback").status == 200
    made = client.call("POST", "/v1/uploads", UPLOAD)
    assert made.status == 201, made.text
    broken.servers["cassandra"].start()
    path = f"/v1/videos/{made.json['videoId']}"
    back_s = until_back(lambda: client.call("GET", path).status == 200)
    assert client.call("GET", path).json["title"] == UPLOAD["title"], back_s


def test_without_the_log_writes_are_refused_for_a_while_and_reads_go_on(
    broken: Broken, uploaded: Answer
) -> None:
    client, video = broken.client, uploaded.json["video_id"]
    broken.servers["kafka"].kill()
    refused = client.call("POST", "/v1/uploads", UPLOAD)
    assert refused.status == 503, refused.text
    assert int(refused.headers["Retry-After"]) > 0
    assert client.call("GET", f"/v1/videos/{video}/playback").status == 200
    broken.servers["kafka"].start()
    until_back(lambda: client.call("POST", "/v1/uploads", UPLOAD).status == 201)


def test_without_the_cache_everything_works(broken: Broken, uploaded: Answer) -> None:
    client, video = broken.client, uploaded.json["video_id"]
    broken.servers["redis"].kill()
    assert client.call("GET", f"/v1/videos/{video}/playback").status == 200
    assert client.call("POST", "/v1/uploads", UPLOAD).status == 201
    broken.servers["redis"].start()
    assert client.call("GET", f"/v1/videos/{video}").status == 200


def test_without_the_object_store_an_upload_is_refused_for_a_while_and_then_goes_its_way(
    broken: Broken, uploaded: Answer, numbered: Path
) -> None:
    client = broken.client
    broken.servers["s3"].kill()
    refused = client.call("POST", "/v1/uploads", UPLOAD)
    assert refused.status == 503, refused.text
    assert int(refused.headers["Retry-After"]) > 0
    broken.servers["s3"].start()
    until_back(lambda: client.call("POST", "/v1/uploads", UPLOAD).status == 201)
    again = client.run("upload", numbered, "--title", "after it was away", within_s=240)
    assert again.status == 0, again.text
    assert_said_once(client, again.json["video_id"])


def until_back(works: Any) -> float:
    """Seconds until it works again."""
    began_s = time.monotonic()
    wait_for(works, BACK_WITHIN_S, "it works again")
    return time.monotonic() - began_s
