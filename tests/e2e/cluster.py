"""A cluster of real processes for tests: gateways, an edge and workers over real servers.

Each is a `millrace` command of its own, started, killed and started again by name; a worker's
child too. Nothing here reaches into a process that it started.
"""

import os
import re
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from millrace.deploy import settings as deploy_settings
from millrace.deploy.cli.cluster import apply_topics, make_bucket, make_keys, migrate_tables
from tests.e2e.servers import COMMAND, NotReady, RunningMillrace, free_port, spawn

READY_WITHIN_S = 90.0
STOPPED_WITHIN_S = 60.0
CHILD = re.compile(r"(?P<name>[a-z-]+) (?P<pid>[0-9]+) (?P<url>http://\S+)")


class Server(Protocol):
    """A server as tests/stack gives it: an address, whoever may stop it."""

    @property
    def address(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class S3Server(Server, Protocol):
    @property
    def url(self) -> str: ...
    @property
    def access_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...
    @property
    def region(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Stack:
    """The servers under a cluster."""

    kafka: Server
    cassandra: Server
    s3: S3Server
    redis: Server

    def settings(self, name: str) -> dict[str, str]:
        """Of an installation of that name, which shares nothing with others on the same servers."""
        return {
            "kafka": self.kafka.address,
            "topic_prefix": f"{name}-",
            "cassandra": self.cassandra.host,
            "cassandra_port": str(self.cassandra.port),
            "keyspace": name,
            "s3_endpoint": self.s3.url,
            "s3_bucket": f"millrace-{name}",
            "s3_region": self.s3.region,
            "s3_access_key": self.s3.access_key,
            "s3_secret_key": self.s3.secret_key,
            "redis": f"redis://{self.redis.address}",
            "redis_prefix": f"{name}:",
        }


@dataclass(slots=True)
class Process:
    """A `millrace` command by a name of the test's; `running` is its life now."""

    name: str
    arguments: tuple[str, ...]
    settings: dict[str, str]
    notes: Path
    running: "subprocess.Popen[str] | None" = None
    # What `ready` was followed by, of the life now, and what its children said last, by name.
    ready: str = ""
    children: dict[str, tuple[int, str]] = field(default_factory=dict)
    said: threading.Condition = field(default_factory=threading.Condition)

    def begin(self, **settings: str) -> None:
        """Starts it without waiting; settings are of this life alone."""
        self.ready = ""
        with self.notes.open("a") as notes:
            self.running = spawn([*COMMAND, *self.arguments], self.settings | settings, notes)
        threading.Thread(target=self._hear, args=(self.running,), daemon=True).start()

    def start(self, **settings: str) -> str:
        """Starts it and waits until it is ready; its address. Raises NotReady."""
        self.begin(**settings)
        return self.wait()

    def wait(self) -> str:
        with self.said:
            self.said.wait_for(lambda: self.ready or not self.alive, READY_WITHIN_S)
        if not self.ready:
            self.kill()
            raise NotReady(f"{self.name}: {self.notes.read_text()[-4_000:]}")
        return self.ready

    def _hear(self, running: "subprocess.Popen[str]") -> None:
        assert running.stdout is not None
        for line in running.stdout:
            child = CHILD.match(line)
            with self.notes.open("a") as notes:
                notes.write(line)
            with self.said:
                if child is not None:
                    self.children[child["name"]] = int(child["pid"]), child["url"]
                elif line.startswith("ready ") and running is self.running:
                    self.ready = line.split()[1]
                self.said.notify_all()
        running.stdout.close()
        running.wait()
        with self.said:
            self.said.notify_all()

    @property
    def alive(self) -> bool:
        return self.running is not None and self.running.poll() is None

    def stop(self) -> int:
        """Asks it to end and waits; its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Ends it as a power cut would; its exit code."""
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        assert self.running is not None
        if self.alive:
            self.running.send_signal(number)
        return self.died()

    def died(self) -> int:
        """Waits for its end; its exit code."""
        assert self.running is not None
        return self.running.wait(STOPPED_WITHIN_S)

    def kill_child(self, name: str) -> None:
        """kill -9 of one worker under a supervisor; returns when another is ready in its place."""
        pid, _ = self.children[name]
        os.kill(pid, signal.SIGKILL)
        self.wait_for_child(name, lambda now: now != pid)

    def wait_for_child(self, name: str, what: Callable[[int], bool]) -> None:
        with self.said:
            came = self.said.wait_for(lambda: what(self.children[name][0]), READY_WITHIN_S)
        assert came, f"{name} did not come back: {self.notes.read_text()[-4_000:]}"


@dataclass(slots=True)
class Client(RunningMillrace):
    """The command line and HTTP against the gateway at `url`."""

    def begin(self, *arguments: str | Path, **settings: str) -> "subprocess.Popen[str]":
        # Of the class by name: slots make another class of it, which `super()` does not know.
        return RunningMillrace.begin(self, *arguments, server=self.url, **settings)


@dataclass(slots=True)
class Cluster:
    """Processes over one stack, by name. Nothing runs before it is started."""

    folder: Path
    settings: dict[str, str]
    processes: dict[str, Process] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)

    @classmethod
    def over(cls, stack: Stack, folder: Path, **settings: str) -> "Cluster":
        """An installation of its own on the stack; `settings` are every process's."""
        name = f"t{secrets.token_hex(4)}"
        data_dir = folder / "data"
        data_dir.mkdir(parents=True)
        own = {"data_dir": str(data_dir), "workers": "1", "session_timeout_ms": "6000"}
        edge_port = free_port()
        own |= {"objects_port": str(edge_port), "objects_url": f"http://127.0.0.1:{edge_port}"}
        return cls(folder, own | stack.settings(name) | settings)

    def make_ready(self) -> None:
        """Keys, topics, tables and bucket, as an operator makes them."""
        environment = {deploy_settings.PREFIX + k.upper(): v for k, v in self.settings.items()}
        given = deploy_settings.read(environment)
        make_keys(given)
        with ThreadPoolExecutor(3) as pool:
            made = [
                pool.submit(make, given) for make in (apply_topics, migrate_tables, make_bucket)
            ]
            for one in made:
                one.result()

    def add(self, name: str, *arguments: str, **settings: str) -> Process:
        """A process that is not started yet."""
        notes = self.folder / f"{name}.log"
        process = Process(name, arguments, self.settings | settings, notes)
        self.processes[name] = process
        return process

    def gateway(self, name: str = "gateway") -> Process:
        return self.add(name, "gateway", port=str(free_port()))

    def edge(self) -> Process:
        return self.add("edge", "edge")

    def worker(self, *names: str, name: str = "worker", **settings: str) -> Process:
        """A worker of these topologies and lanes, `all` for every one, under one supervisor."""
        return self.add(name, "worker", *names, worker_name=name, **settings)

    def client(self, url: str) -> Client:
        client = Client(Path(self.settings["data_dir"]), 0, 0, {}, url=url)
        self.clients.append(client)
        return client

    def close(self) -> None:
        """Leaves no process behind."""
        for client in self.clients:
            for begun in client.begun:
                if begun.poll() is None:
                    begun.kill()
                    begun.communicate()
        for process in self.processes.values():
            if process.alive:
                process.kill()

    def started(self, every: Mapping[str, Process]) -> dict[str, str]:
        """Starts them at the same time; addresses by name."""
        for process in every.values():
            process.begin()
        return {name: process.wait() for name, process in every.items()}
