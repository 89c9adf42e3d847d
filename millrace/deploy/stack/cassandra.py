"""One Cassandra node, tuned to start fast and to stay small, that loses nothing it acknowledged.

It must never run with a periodic commit log: with no other replica, kill -9 then loses
acknowledged writes (measured: 32 to 486 of 132 144, in four runs of five; batch lost none).
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from millrace.deploy.stack import probes
from millrace.deploy.stack.places import HOST
from millrace.deploy.stack.server import Server

CONF = Path(__file__).parent / "conf"
# Measured on two cores: ready in 4 to 6 s with 240 MB; 11 s and 890 MB with the defaults.
JVM = (
    "-XX:+UseSerialGC", "-Xms128m", "-Xmx512m", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData",
    "-Djava.awt.headless=true", "-Dcassandra-foreground=yes",
    "-Dcassandra.shutdown_announce_in_ms=0", "-Dcassandra.memtable.row_overhead_size=180",
    "-Dcassandra.test.messagingService.nonGracefulShutdown=true",
)  # fmt: skip
# As root, Cassandra locks its memory, which pins the whole heap: that right is taken from it.
UNLOCKED = ("--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock")
SETTINGS: dict[str, Any] = {
    "cluster_name": "millrace",
    "num_tokens": 1,
    "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
    "endpoint_snitch": "SimpleSnitch",
    "listen_address": HOST,
    "rpc_address": HOST,
    "start_native_transport": True,
    "auto_snapshot": False,
    "storage_compatibility_mode": "NONE",
    "concurrent_reads": 8,
    "concurrent_writes": 16,
    "concurrent_compactors": 1,
    "native_transport_max_threads": 32,
    "memtable_heap_space": "64MiB",
    "memtable_offheap_space": "64MiB",
    "key_cache_size": "8MiB",
    "file_cache_size": "32MiB",
    "commitlog_sync": "batch",
    "commitlog_segment_size": "16MiB",
    "commitlog_total_space": "256MiB",
}
DIRECTORIES = {
    "commitlog_directory": "commitlog",
    "hints_directory": "hints",
    "saved_caches_directory": "saved_caches",
    "cdc_raw_directory": "cdc_raw",
}


@dataclass(frozen=True, slots=True)
class Cassandra(Server):
    """`home` holds lib/ with the jars."""

    storage_port: int
    home: Path
    java: str
    class_data: tuple[str, ...] = ()

    name: ClassVar[str] = "cassandra"

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, self.storage_port)

    @property
    def settings(self) -> Path:
        """Written as JSON, which is YAML too."""
        return self.folder / "cassandra.yaml"

    def prepare(self) -> None:
        seeds = [{"seeds": f"{HOST}:{self.storage_port}"}]
        provider = "org.apache.cassandra.locator.SimpleSeedProvider"
        places = {
            "storage_port": self.storage_port,
            "native_transport_port": self.port,
            "seed_provider": [{"class_name": provider, "parameters": seeds}],
            "data_file_directories": [str(self.data / "data")],
        }
        folders = {name: str(self.data / folder) for name, folder in DIRECTORIES.items()}
        self.settings.write_text(json.dumps(SETTINGS | places | folders, indent=2))

    def command(self) -> list[str]:
        return [
            *unlocked(), "env", "MALLOC_ARENA_MAX=2", self.java,
            f"@{CONF / 'cassandra-jdk17.options'}", *JVM, *self.class_data,
            f"-Dcassandra.config={self.settings.as_uri()}",
            f"-Dcassandra.storagedir={self.data}", f"-Dcassandra.logdir={self.folder}",
            f"-Dlogback.configurationFile={(CONF / 'cassandra-logback.xml').as_uri()}",
            "-cp", f"{self.home / 'lib'}/*", "org.apache.cassandra.service.CassandraDaemon",
        ]  # fmt: skip

    def answers(self) -> bool:
        return probes.cassandra(self.port)


def unlocked() -> list[str]:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    return ["setpriv", *UNLOCKED]
