"""The real servers that tests are given: each is broken alone, and comes back with what it had."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cassandra.cluster import Cluster, Session
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from redis import Redis

from millrace.deploy.stack import places, probes
from millrace.sinks.s3_client import S3Place, open_client
from tests.e2e.servers import wait_for
from tests.stack.fixtures import PrivateServers
from tests.stack.runs import ROOT
from tests.stack.servers import SharedServer

NAME = "kept"


def write_to_kafka(server: SharedServer) -> None:
    admin = AdminClient({"bootstrap.servers": server.address})
    for made in admin.create_topics([NewTopic(NAME, 1, 1)]).values():
        made.result(30)
    producer = Producer({"bootstrap.servers": server.address, "transactional.id": NAME})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(NAME, NAME.encode())
    producer.commit_transaction(30)


def read_from_kafka(server: SharedServer) -> str:
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": NAME})
    consumer.assign([TopicPartition(NAME, 0, 0)])
    record = consumer.poll(30)
    consumer.close()
    assert record is not None
    value = record.value()
    assert value is not None
    return value.decode()


@contextmanager
def cassandra_session(server: SharedServer) -> Iterator[Session]:
    with Cluster([server.host], port=server.port) as cluster:
        yield cluster.connect()


def write_to_cassandra(server: SharedServer) -> None:
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    with cassandra_session(server) as session:
        session.execute(f"CREATE KEYSPACE {NAME} WITH replication = {replication}")
        session.execute(f"CREATE TABLE {NAME}.{NAME} (name text PRIMARY KEY)")
        session.execute(f"INSERT INTO {NAME}.{NAME} (name) VALUES ('{NAME}')")


def read_from_cassandra(server: SharedServer) -> str:
    with cassandra_session(server) as session:
        return str(session.execute(f"SELECT name FROM {NAME}.{NAME}").one().name)


def s3_place(server: SharedServer) -> S3Place:
    url = f"http://{server.address}"
    return S3Place(url, NAME, places.S3_ACCESS_KEY, places.S3_SECRET_KEY, places.S3_REGION)


def write_to_s3(server: SharedServer) -> None:
    client = open_client(s3_place(server))
    client.create_bucket(Bucket=NAME)
    client.put_object(Bucket=NAME, Key="a/key", Body=NAME.encode())


def read_from_s3(server: SharedServer) -> str:
    return (
        open_client(s3_place(server)).get_object(Bucket=NAME, Key="a/key")["Body"].read().decode()
    )


def write_to_redis(server: SharedServer) -> None:
    with Redis(port=server.port) as client:
        client.set(NAME, NAME)


def read_from_redis(server: SharedServer) -> str:
    with Redis(port=server.port, decode_responses=True) as client:
        return str(client.get(NAME))


SERVERS = [
    pytest.param("kafka", write_to_kafka, read_from_kafka, marks=pytest.mark.slow),
    pytest.param("cassandra", write_to_cassandra, read_from_cassandra, marks=pytest.mark.slow),
    pytest.param("s3", write_to_s3, read_from_s3),
    pytest.param("redis", write_to_redis, read_from_redis),
]


@pytest.mark.parametrize(("name", "write", "read"), SERVERS)
def test_what_a_killed_server_acknowledged_is_there_when_it_is_started_again(
    private_servers: PrivateServers,
    name: str,
    write: Callable[[SharedServer], None],
    read: Callable[[SharedServer], str],
) -> None:
    server = private_servers(name)
    server.start()
    write(server)
    server.kill()
    assert not server.alive
    server.start()
    assert read(server) == NAME


def test_a_paused_server_says_nothing_until_it_is_resumed(private_servers: PrivateServers) -> None:
    server = private_servers("redis")
    server.start()
    server.pause()
    assert not probes.redis(server.port)
    server.resume()
    assert probes.redis(server.port)


def test_a_server_that_was_wiped_has_forgotten(private_servers: PrivateServers) -> None:
    server = private_servers("redis")
    server.start()
    write_to_redis(server)
    server.terminate()
    server.wipe()
    server.start()
    assert read_from_redis(server) == "None"


# A run of its own inside a test of ours: two tests that two workers get, and one that dies.
TWO_TESTS = """
import pytest
@pytest.mark.parametrize("number", (1, 2))
def test_it(number, redis_server, tmp_path_factory):
    place = tmp_path_factory.getbasetemp().parent
    (place / f"{number}.port").write_text(str(redis_server.port))
"""
A_DEATH = """
import os
def test_it(redis_server, redis_factory, tmp_path_factory):
    server = redis_factory()
    server.start()
    for port in (redis_server.port, server.port):
        (tmp_path_factory.getbasetemp().parent / f"{port}.port").write_text(str(port))
    os.kill(os.getpid(), 9)
"""


def run_pytest(folder: Path, text: str, *options: str) -> tuple[int, list[int]]:
    """The exit code of a pytest over this one file, and the ports that its tests wrote down."""
    (folder / "test_it.py").write_text(text)
    (folder / "made").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # Nothing but what is tested is loaded: that halves the time.
    ours = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder),
            "-p", "tests.stack.fixtures", "-p", "xdist", "-p", "no:cacheprovider",
            "--basetemp", str(folder / "made" / "here"), *options, "test_it.py",
        ],
        cwd=folder, env=kept | ours, check=False, timeout=60,
    )  # fmt: skip
    ports = [int(path.read_text()) for path in sorted(folder.glob("made/**/*.port"))]
    return done.returncode, ports


def test_the_workers_of_a_run_share_one_server_which_ends_with_the_run(
    redis_server: SharedServer, tmp_path: Path
) -> None:
    code, ports = run_pytest(tmp_path, TWO_TESTS, "-n", "2")
    assert code == 0
    (one, other) = ports
    assert one == other != redis_server.port
    assert places.free(one)


def test_a_run_that_is_killed_leaves_no_server_behind(
    redis_server: SharedServer, tmp_path: Path
) -> None:
    code, ports = run_pytest(tmp_path, A_DEATH)
    assert code == -signal.SIGKILL
    assert len(ports) == 2
    wait_for(lambda: all(map(places.free, ports)), 20, "the keeper ended both servers")
    assert probes.redis(redis_server.port)
