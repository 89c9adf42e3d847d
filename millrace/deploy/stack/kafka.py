"""One Kafka broker that is its own controller, tuned to start fast and to stay small.

It must never be copied to several machines: every internal topic has one replica here.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from millrace.deploy.stack import probes
from millrace.deploy.stack.places import HOST
from millrace.deploy.stack.server import Server

CONF = Path(__file__).parent / "conf"
FORMATTED = "formatted"
NODE = 1
# Measured on two cores: answers in 4 to 6 s, 220 to 450 MB; keeps everything over kill -9, and is
# back 6 to 9 s after it with the short broker session (15 s with the default of 9 s).
JVM = (
    "-Xms256m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxDirectMemorySize=128m",
    "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData", "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
)  # fmt: skip
INTERNAL_PARTITIONS = 4
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": str(NODE),
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": str(INTERNAL_PARTITIONS),
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": str(INTERNAL_PARTITIONS),
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "default.replication.factor": "1",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": str(16 << 20),
    "log.segment.bytes": str(64 << 20),
    "message.max.bytes": str(2 << 20),
    "metadata.log.segment.bytes": str(16 << 20),
}


@dataclass(frozen=True, slots=True)
class Kafka(Server):
    """`home` holds lib/ with the jars and formatted/ with an empty, formatted data folder."""

    controller_port: int
    home: Path
    java: str
    class_data: tuple[str, ...] = ()

    name: ClassVar[str] = "kafka"

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, self.controller_port)

    def prepare(self) -> None:
        self.write_settings()
        if not (self.data / "meta.properties").exists():
            shutil.copytree(self.home / FORMATTED, self.data, dirs_exist_ok=True)

    def write_settings(self) -> None:
        places = {
            "controller.quorum.voters": f"{NODE}@{HOST}:{self.controller_port}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(self.data),
        }
        lines = [f"{name}={value}\n" for name, value in (SETTINGS | places).items()]
        self.settings.write_text("".join(lines))

    @property
    def settings(self) -> Path:
        return self.folder / "server.properties"

    def command(self) -> list[str]:
        return [*self.run(*JVM, *self.class_data, main="kafka.Kafka"), str(self.settings)]

    def answers(self) -> bool:
        return probes.kafka(self.port)

    def format(self) -> None:
        """Makes the data folder anew, which takes a JVM of its own and 4.5 s."""
        self.data.mkdir(parents=True)
        self.write_settings()
        tool = self.run("-Xmx128m", main="kafka.tools.StorageTool")
        made = subprocess.run([*tool, "random-uuid"], capture_output=True, text=True, check=True)
        identity = made.stdout.strip().splitlines()[-1]
        subprocess.run(
            [*tool, "format", "-t", identity, "-c", str(self.settings)],
            capture_output=True, check=True,
        )  # fmt: skip

    def run(self, *options: str, main: str) -> list[str]:
        log = f"-Dlog4j2.configurationFile={CONF / 'kafka-log4j2.xml'}"
        return [self.java, *options, log, "-cp", f"{self.home / 'lib'}/*", main]
