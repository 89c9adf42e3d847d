"""What the servers are made of, fetched once into a cache: jars by Maven, versitygw by Go.

Which registries serve them, and through which proxy, is the user's own configuration. It must
never leave half a download where a whole one is looked for.
"""

import fcntl
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from millrace.deploy.stack.cassandra import Cassandra
from millrace.deploy.stack.kafka import FORMATTED, Kafka
from millrace.deploy.stack.places import Places
from millrace.deploy.stack.prerequisites import Tools
from millrace.deploy.stack.server import Server

POMS = Path(__file__).parent / "poms"
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw"
VERSITYGW_VERSION = "1.8.0"
# The classes that a server loads while it starts, read and checked beforehand: saves it 3 s.
CLASS_DATA = "classes.jsa"

Say = Callable[[str], None]
Fetch = Callable[[Path], None]


class NotFetched(Exception):
    """A program that fetches failed; with what it said."""


def pinned(pom: str, artifact: str) -> str:
    """The version that a pom names for an artifact."""
    text = (POMS / f"{pom}.xml").read_text()
    (version,) = re.findall(rf"<artifactId>{artifact}</artifactId>\s*<version>(.*?)<", text)
    return str(version)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to be made: at `target`, by a program, out of something that is there before."""

    target: Path
    note: str
    program: str
    of: Path
    fetch: Fetch


@dataclass(frozen=True, slots=True)
class Cache:
    """The folder of the downloads, with a folder in it for each version of each thing."""

    folder: Path

    @property
    def kafka(self) -> Path:
        return self.folder / f"kafka-{pinned('kafka', 'kafka_2.13')}"

    @property
    def cassandra(self) -> Path:
        return self.folder / f"cassandra-{pinned('cassandra', 'cassandra-all')}"

    @property
    def versitygw(self) -> Path:
        return self.folder / f"versitygw-{VERSITYGW_VERSION}"

    def programs(self) -> list[str]:
        """What must be installed to run the servers, and to fetch what is not here yet."""
        jars = all((home / "lib").exists() for home in (self.kafka, self.cassandra))
        fetchers = [*([] if jars else ["mvn"]), *([] if self.versitygw.exists() else ["go"])]
        return ["java", *fetchers, "redis-server"]

    def holds(self, name: str) -> bool:
        """Whether the server of that name can be started from here."""
        homes = {"kafka": self.kafka / FORMATTED, "cassandra": self.cassandra / CLASS_DATA}
        return (homes | {"s3": self.versitygw, "redis": self.folder})[name].exists()

    def fetch(self, tools: Tools, say: Say) -> None:
        """Brings and prepares whatever is not here yet and these programs can bring.

        Raises NotFetched, NotStarted.
        """
        with self.locked():
            for step in self.steps(tools):
                if not step.target.exists() and step.program in tools and step.of.exists():
                    say(step.note)
                    make_whole(step.target, step.fetch)

    def steps(self, tools: Tools) -> tuple[Step, ...]:
        """In order: the jars are there before what is made of them."""
        kafka, cassandra = self.kafka / "lib", self.cassandra / "lib"
        return (
            Step(kafka, f"fetching {self.kafka.name}", "mvn", POMS, partial(jars, tools, "kafka")),
            Step(
                cassandra, f"fetching {self.cassandra.name}", "mvn", POMS,
                partial(jars, tools, "cassandra"),
            ),
            Step(
                self.versitygw, f"building {self.versitygw.name} (one to three minutes)", "go",
                POMS, partial(versitygw, tools),
            ),
            Step(
                self.kafka / FORMATTED, "formatting an empty folder for Kafka", "java", kafka,
                partial(self.format_kafka, tools),
            ),
            Step(
                self.kafka / CLASS_DATA, "preparing Kafka to start fast", "java", kafka,
                partial(self.archive_kafka, tools),
            ),
            Step(
                self.cassandra / CLASS_DATA, "preparing Cassandra to start fast", "java", cassandra,
                partial(self.archive_cassandra, tools),
            ),
        )  # fmt: skip

    def format_kafka(self, tools: Tools, place: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            server = self.kafka_server(tools, Places.anywhere(Path(folder)), ())
            server.format()
            shutil.copytree(server.data, place)

    def archive_kafka(self, tools: Tools, place: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            places = Places.anywhere(Path(folder))
            run_once(self.kafka_server(tools, places, making(place)))

    def archive_cassandra(self, tools: Tools, place: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            places = Places.anywhere(Path(folder))
            run_once(self.cassandra_server(tools, places, making(place)))

    def kafka_server(
        self, tools: Tools, places: Places, class_data: tuple[str, ...] | None = None
    ) -> Kafka:
        options = using(self.kafka / CLASS_DATA) if class_data is None else class_data
        return Kafka(
            places.folder / Kafka.name, places.kafka_port, places.kafka_controller_port,
            self.kafka, tools["java"], options,
        )  # fmt: skip

    def cassandra_server(
        self, tools: Tools, places: Places, class_data: tuple[str, ...] | None = None
    ) -> Cassandra:
        options = using(self.cassandra / CLASS_DATA) if class_data is None else class_data
        return Cassandra(
            places.folder / Cassandra.name, places.cassandra_port, places.cassandra_storage_port,
            self.cassandra, tools["java"], options,
        )  # fmt: skip

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else fetches into this folder meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def make_whole(target: Path, fetch: Fetch) -> None:
    """Has it made beside its place and moved there when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.unlink(missing_ok=True)
    fetch(beside)
    beside.rename(target)


def run_program(command: list[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotFetched(f"{' '.join(command)}\n{(done.stdout + done.stderr)[-3_000:]}")


def jars(tools: Tools, pom: str, place: Path) -> None:
    """Every jar of a pom; -C refuses one whose checksum is not the registry's."""
    run_program([
        tools["mvn"], "-q", "-B", "-C", "-f", str(POMS / f"{pom}.xml"), COPY_JARS,
        "-DincludeScope=runtime", f"-DoutputDirectory={place}",
    ])  # fmt: skip


def versitygw(tools: Tools, place: Path) -> None:
    """Go checks every module against its checksum database."""
    package = f"{VERSITYGW}@v{VERSITYGW_VERSION}"
    run_program(["env", f"GOBIN={place}", tools["go"], "install", "-trimpath", package])


def making(archive: Path) -> tuple[str, ...]:
    return (f"-XX:ArchiveClassesAtExit={archive}",)


def using(archive: Path) -> tuple[str, ...]:
    """A Java that finds the archive unfit, because it is another Java, starts without it."""
    return (f"-XX:SharedArchiveFile={archive}", "-Xshare:auto")


def run_once(server: Server) -> None:
    """Starts it, waits until it answers, ends it: the archive is written on its way out."""
    server.begin()
    try:
        server.wait()
    finally:
        server.stop()
