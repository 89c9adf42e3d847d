"""One Redis, for what may be lost: caches, token buckets, progress. It keeps it over restarts.

It must never hold anything that can't be made again from the log.
"""

from dataclasses import dataclass
from typing import ClassVar

from millrace.deploy.stack import probes
from millrace.deploy.stack.places import HOST
from millrace.deploy.stack.server import Server

MEMORY_MAX = "64mb"


@dataclass(frozen=True, slots=True)
class Redis(Server):
    """`binary` is redis-server, wherever the package manager put it."""

    binary: str

    name: ClassVar[str] = "redis"

    def prepare(self) -> None:
        """Everything it needs is on its command line."""

    def command(self) -> list[str]:
        return [
            self.binary, "--bind", HOST, "--port", str(self.port), "--dir", str(self.data),
            "--save", "", "--appendonly", "yes", "--daemonize", "no",
            "--maxmemory", MEMORY_MAX, "--maxmemory-policy", "allkeys-lru",
        ]  # fmt: skip

    def answers(self) -> bool:
        return probes.redis(self.port)
