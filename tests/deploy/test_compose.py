"""docker-compose.yml and the Dockerfile say the same as the stack, the settings and the commands.

There is no Docker engine where these tests run: what can be held to something else is.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from millrace.deploy import settings
from millrace.deploy.cli import main
from millrace.deploy.cli.worker import names
from millrace.deploy.stack import cassandra, kafka
from millrace.deploy.stack.downloads import VERSITYGW_VERSION, pinned
from millrace.deploy.stack.places import S3_SECRET_KEY, Places

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXACT = re.compile(r":v?\d+\.\d+\.\d+(-[a-z]+)*$")
VARIABLE = re.compile(r"\$\{(\w+)[^}]*\}")
# What a container's own address and folders are; all else is as in the stack without Docker.
OF_THE_CONTAINER = {"listen_address", "rpc_address", "broadcast_rpc_address"}


def given() -> dict[str, str]:
    """What .env.example sets."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as `docker compose` reads it beside a .env that was copied and not changed."""
    text = VARIABLE.sub(lambda found: given()[found[1]], COMPOSE.read_text())
    read: dict[str, Any] = yaml.safe_load(text)
    return read


@pytest.fixture
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def instructions(name: str) -> list[str]:
    """The Dockerfile's instructions of that name, each on one line."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith(f"{name} ")]


def millrace_commands(services: dict[str, Any]) -> Iterator[list[str]]:
    """Each command line that a container runs, without the program's own name."""
    for service in services.values():
        if service.get("image", "").startswith("millrace:") and "command" in service:
            yield service["command"]
    for line in services["prepare"]["entrypoint"][-1].split(";"):
        yield line.split()[1:]


def test_it_is_what_the_compose_specification_allows() -> None:
    lint = [str(Path(sys.executable).with_name("check-jsonschema"))]
    done = subprocess.run(
        [*lint, "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_every_image_is_pinned_and_the_servers_are_those_of_the_stack(
    services: dict[str, Any],
) -> None:
    images = {name: service["image"] for name, service in services.items()}
    assert [name for name, image in images.items() if not EXACT.search(image)] == []
    assert images["kafka"].endswith(":" + pinned("kafka", "kafka_2.13"))
    assert images["cassandra"].endswith(":" + pinned("cassandra", "cassandra-all"))
    assert f"ARG VERSITYGW={VERSITYGW_VERSION}" in instructions("ARG")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    ours = {image for image in images.values() if image.startswith("millrace")}
    assert ours == {f"millrace:{version}", f"millrace-s3:{version}"}


def test_ports_are_the_stacks_and_on_loopback_alone(services: dict[str, Any]) -> None:
    published = {
        name: port.split(":") for name, service in services.items()
        for port in service.get("ports", ())
    }  # fmt: skip
    assert {host for host, _, _ in published.values()} == {"127.0.0.1"}
    places = Places()
    assert {name: int(published[name][1]) for name in ("kafka", "cassandra", "s3", "redis")} == {
        "kafka": places.kafka_port,
        "cassandra": places.cassandra_port,
        "s3": places.s3_port,
        "redis": places.redis_port,
    }
    assert len({port for _, port, _ in published.values()}) == len(published)


def test_the_example_names_every_variable_and_no_other() -> None:
    assert given().keys() == set(VARIABLE.findall(COMPOSE.read_text()))
    known = {variable for variable in given() if variable.startswith(settings.PREFIX)}
    assert not known, "a .env that is sourced must not set Millrace up"


def test_every_variable_of_ours_is_a_setting_of_its_kind(services: dict[str, Any]) -> None:
    read = settings.read(services["gateway"]["environment"])
    assert read.kafka == "kafka:9092"
    assert read.s3_access_key == services["s3"]["environment"]["ROOT_ACCESS_KEY_ID"]
    assert read.s3_secret_key == services["s3"]["environment"]["ROOT_SECRET_ACCESS_KEY"]
    (own,) = [line for line in instructions("ENV") if settings.PREFIX in line]
    settings.read(dict(one.split("=") for one in own.split()[1:]))


def test_every_command_is_one_of_the_command_line(services: dict[str, Any]) -> None:
    lines = list(millrace_commands(services))
    assert {line[0] for line in lines} == {
        "gateway", "edge", "worker", "topics", "migrate", "bucket", "keys",
    }  # fmt: skip
    assert [line for line in lines if line[0] not in main.commands] == []


def test_kafka_is_set_up_as_in_the_stack(services: dict[str, Any]) -> None:
    environment = services["kafka"]["environment"]
    wanted = {
        f"KAFKA_{name.upper().replace('.', '_')}": value
        for name, value in kafka.SETTINGS.items()
        if name != "listener.security.protocol.map"
    }
    assert {name: environment.get(name) for name in wanted} == wanted


def test_cassandra_is_set_up_as_in_the_stack(compose: dict[str, Any]) -> None:
    written = yaml.safe_load(compose["configs"]["cassandra"]["content"])
    shared = cassandra.SETTINGS.keys() - OF_THE_CONTAINER
    assert {name: written.get(name) for name in shared} == {
        name: cassandra.SETTINGS[name] for name in shared
    }
    assert cassandra.DIRECTORIES.keys() <= written.keys()


def test_every_service_that_stays_is_watched_and_started_again(services: dict[str, Any]) -> None:
    staying = {name: service for name, service in services.items() if name != "prepare"}
    assert [
        name for name, one in staying.items() if not one.get("healthcheck", {}).get("test")
    ] == []
    assert {one["restart"] for one in staying.values()} == {"unless-stopped"}
    assert {tuple(one["profiles"]) for one in services.values()} == {("core",), ("observability",)}


def test_what_a_service_names_is_there(compose: dict[str, Any], services: dict[str, Any]) -> None:
    for service in services.values():
        assert service.get("depends_on", {}).keys() <= services.keys()
        volumes = {volume.split(":")[0] for volume in service.get("volumes", ())}
        assert volumes <= compose["volumes"].keys()
        configs = {config["source"] for config in service.get("configs", ())}
        assert configs <= compose["configs"].keys()


def test_prometheus_asks_every_child_of_a_worker(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    jobs = yaml.safe_load(compose["configs"]["prometheus"]["content"])["scrape_configs"]
    (worker,) = [job for job in jobs if job["job_name"] == "worker"]
    first = int(services["worker"]["environment"]["MILLRACE_METRICS_PORT"])
    ports = [place["port"] for place in worker["dns_sd_configs"]]
    assert ports == list(range(first, first + len(names())))


def test_the_image_is_built_of_pinned_and_hashed_things() -> None:
    stages = [line.split()[3] for line in instructions("FROM")]
    made_here = {f"{name}" for name in stages}
    bases = {line.split()[1] for line in instructions("FROM")} - made_here
    arguments = dict(line.split()[1].split("=") for line in instructions("ARG"))
    versions = [VARIABLE.sub(lambda found: arguments[found[1]], base) for base in bases]
    assert [version for version in versions if not EXACT.search(version)] == []
    steps = [line for line in instructions("RUN") if "pip install" in line]
    assert [
        step for step in steps if "--require-hashes" not in step and "--no-index" not in step
    ] == []


def test_no_process_of_the_image_is_root() -> None:
    assert instructions("USER") == ["USER 10001"]
    lines = DOCKERFILE.splitlines()
    runtime = lines[lines.index("USER 10001") :]
    based = [line for line in runtime if re.match(r"FROM base AS (s3|millrace)$", line)]
    assert len(based) == 2
    assert lines.index("USER 10001") > lines.index("FROM python:${PYTHON} AS base")


def test_the_builder_is_sent_what_the_image_copies_and_no_more() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {project["readme"], *project["license-files"], "pyproject.toml", "millrace"}
    assert allowed == needed | {"requirements"}
    assert all((ROOT / name).exists() for name in allowed)
    sources = [word for line in instructions("COPY") if "--from" not in line
               for word in line.split()[1:-1]]  # fmt: skip
    assert all((ROOT / source).exists() for source in sources)


def test_the_operations_page_names_the_versions_and_ports_of_the_stack() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    places = Places()
    rows = {
        f"| Kafka | {pinned('kafka', 'kafka_2.13')} |": f"`127.0.0.1:{places.kafka_port}`",
        f"| Cassandra | {pinned('cassandra', 'cassandra-all')} |": f":{places.cassandra_port}`",
        f"| S3: versitygw | {VERSITYGW_VERSION} |": f"`http://127.0.0.1:{places.s3_port}`",
        "| Redis | ": f"`127.0.0.1:{places.redis_port}`",
    }
    lines = page.splitlines()
    for start, address in rows.items():
        assert [line for line in lines if line.startswith(start) and address in line], start
    assert S3_SECRET_KEY in page
