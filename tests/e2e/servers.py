"""Real `millrace up` processes for tests: started, killed, started again over the same folder.

A server of a test is a process of its own with ports of its own, spoken to over HTTP and by the
command line alone. This module must never reach into the server it started.
"""

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias, TypeVar

import pytest

from millrace.deploy.settings import PREFIX

COMMAND = (sys.executable, "-m", "millrace.deploy.cli")
READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 30.0
# Below every system's range of ephemeral ports: nobody's outgoing connection takes one while a
# killed server is away.
PORTS = range(20_000, 32_000)
Found = TypeVar("Found")


class NotReady(AssertionError):
    """`millrace up` ended, or stayed silent, before it said that it answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What HTTP or a command said: status or exit code, JSON (else None), and the bytes."""

    status: int
    json: Any
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


@dataclass(slots=True)
class RunningMillrace:
    """One `millrace up` over `data_dir`; `process` is the one that runs now."""

    data_dir: Path
    port: int
    objects_port: int
    settings: dict[str, str]
    process: subprocess.Popen[str] | None = None
    url: str = ""
    objects_url: str = ""
    # Commands that were begun, so that a test that fails leaves none behind.
    begun: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def notes(self) -> Path:
        """What the server wrote to its standard error, over all its lives."""
        return self.data_dir.with_name(self.data_dir.name + ".stderr")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, **settings: str) -> None:
        """Starts it and waits until it says it is ready. Raises NotReady."""
        with self.notes.open("a") as notes:
            self.process = spawn(self.command(), self.settings | settings, notes)
        line = first_line(self.process)
        if not line.startswith("ready "):
            self.kill()
            raise NotReady(self.notes.read_text()[-4_000:])
        place = json.loads((self.data_dir / "server.json").read_text())
        self.url, self.objects_url = place["url"], place["objects_url"]

    def command(self) -> list[str]:
        return [*COMMAND, "up", "--data-dir", str(self.data_dir), "--port", str(self.port)]

    def stop(self) -> int:
        """Asks it to end and waits; its exit code."""
        return self.end(signal.SIGTERM)

    def kill(self) -> int:
        """Ends it as a power cut would; its exit code, negative for a signal."""
        return self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.died(STOPPED_WITHIN_S)

    def died(self, within_s: float) -> int:
        """Waits for its end; its exit code. Raises subprocess.TimeoutExpired."""
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(within_s)
        self.process.stdout.close()
        return code

    def token(self, role: str) -> str:
        """The token of creator, moderator or operator that the server made."""
        return (self.data_dir / "tokens" / role).read_text().strip()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        role: str | None = "creator",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request to the gateway; every status is an answer."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        if role is not None:
            headers["Authorization"] = f"Bearer {self.token(role)}"
        data = None if body is None else json.dumps(body).encode()
        return request(method, self.url + path, data, headers)

    def records(self, topic: str, key: str | None = None) -> list[dict[str, Any]]:
        """The records of a topic, partition by partition, of one key or of all."""
        found: list[dict[str, Any]] = []
        partition, partitions, after = 0, 1, -1
        while partition < partitions:
            query = f"partition={partition}&after={after}&limit=1000"
            page = self.call("GET", f"/v1/log/{topic}?{query}", role="operator")
            assert page.status == 200, page.text
            found += page.json["records"]
            partitions, after = page.json["partitions"], page.json["after"]
            if not page.json["records"]:
                partition, after = partition + 1, -1
        return [one for one in found if key is None or one["key"] == key]

    def begin(self, *arguments: str | Path, **settings: str) -> subprocess.Popen[str]:
        """A command of the command line against this server, under way."""
        command = [*COMMAND, *map(str, arguments), "--data-dir", str(self.data_dir)]
        process = subprocess.Popen(
            command,
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.begun.append(process)
        return process

    def run(self, *arguments: str | Path, within_s: float = 90.0, **settings: str) -> Answer:
        """A command with --json, to its end."""
        return finished(self.begin(*arguments, "--json", **settings), within_s)


def finished(process: subprocess.Popen[str], within_s: float = 90.0) -> Answer:
    """The exit code and the JSON of a command's last line; it is killed past the time."""
    try:
        out, err = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    lines = out.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except ValueError:
        found = None
    return Answer(process.returncode, found, (out + err).encode())


def request(
    method: str, url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One HTTP request; every status is an answer. Raises OSError where nobody answers."""
    asked = urllib.request.Request(url, data, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as response:
            return answer(response.status, response.read(), dict(response.headers.items()))
    except urllib.error.HTTPError as problem:
        with problem:
            return answer(problem.code, problem.read(), dict(problem.headers.items()))


def answer(status: int, body: bytes, headers: Mapping[str, str]) -> Answer:
    is_json = body and "json" in headers.get("Content-Type", "")
    return Answer(status, json.loads(body) if is_json else None, body, headers)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what a developer may have set for Millrace."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
    return kept | {PREFIX + name.upper(): text for name, text in settings.items()}


def spawn(command: list[str], settings: Mapping[str, str], notes: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.PIPE, stderr=notes, text=True
    )


def first_line(process: subprocess.Popen[str]) -> str:
    """The first line it prints; empty where it ends, or says nothing in time."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], READY_WITHIN_S)
    return process.stdout.readline() if ready else ""


def free_port() -> int:
    """A port that nobody listens on now, nor on the one after it, which is the object door's."""
    while True:
        port = random.choice(PORTS)
        try:
            for one in (port, port + 1):
                socket.create_server(("127.0.0.1", one)).close()
        except OSError:
            continue
        return port


def wait_for(what: Callable[[], Found], within_s: float, text: str) -> Found:
    """Asks until the answer is true-ish; the answer. Fails with text when the time is over."""
    until_s = time.monotonic() + within_s
    while not (found := what()):
        if time.monotonic() > until_s:
            pytest.fail(f"not within {within_s:g} s: {text}")
        # A server takes only so many questions a second of one client.
        time.sleep(0.2)
    return found


def ended(server: RunningMillrace) -> None:
    """Leaves no process behind, whatever the test did."""
    if server.process is not None:
        server.kill()
    for process in server.begun:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="session")
def running_millrace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMillrace]:
    """A server for all tests of one process; nobody may stop it. Ports are any that are free."""
    data_dir = tmp_path_factory.mktemp("millrace") / "data"
    server = RunningMillrace(data_dir, 0, 0, {"workers": "2"})
    server.start()
    yield server
    code = server.stop()
    ended(server)
    assert code == 0, server.notes.read_text()[-4_000:]


ServerFactory: TypeAlias = Callable[..., RunningMillrace]


@pytest.fixture
def server_factory(tmp_path: Path) -> Iterator[ServerFactory]:
    """Makes servers that are not started yet, each over a folder of its own and on ports that it
    keeps when it is started again. Settings are given by name: `server_factory(workers="1")`."""
    made: list[RunningMillrace] = []

    def make(name: str = "data", **settings: str) -> RunningMillrace:
        objects_port = free_port()
        settings = {"workers": "1", "objects_port": str(objects_port)} | settings
        server = RunningMillrace(tmp_path / name, free_port(), objects_port, settings)
        made.append(server)
        return server

    yield make
    for server in made:
        ended(server)
