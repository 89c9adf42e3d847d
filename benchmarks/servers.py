"""A `millrace up` of its own for a benchmark, and the CPU seconds that it and its workers spend."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from millrace.deploy.client import Target, target
from millrace.deploy.settings import Settings

STOP_WITHIN_S = 30.0
IDLE_WITHIN_S = 60.0
# What a server at rest has none of.
UNDER_WAY = (
    "millrace_work_in_hand",
    "millrace_work_queued",
    "millrace_fold_lag",
    "millrace_projection_lag",
)


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs: where, over which folder, and its process."""

    url: str
    data_dir: Path
    process: psutil.Process

    def as_role(self, role: str) -> Target:
        return target(Settings(data_dir=self.data_dir), role)

    def rest(self) -> None:
        """Returns when nothing is under way. Raises TimeoutError after IDLE_WITHIN_S."""
        until_s = time.monotonic() + IDLE_WITHIN_S
        while self._under_way():
            if time.monotonic() > until_s:
                raise TimeoutError("the server did not come to rest")
            time.sleep(0.05)

    def _under_way(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        found = [line.rsplit(" ", 1) for line in lines if line.startswith(UNDER_WAY)]
        return not found or any(float(value) for _, value in found)

    def cpu_seconds(self) -> float:
        """Of the server and the workers that live; workers are kept, so none is lost."""
        tree = [self.process, *self.process.children(recursive=True)]
        times = [one.cpu_times() for one in tree]
        return sum(one.user + one.system for one in times)


@contextmanager
def serving(data_dir: Path, *arguments: str) -> Iterator[Served]:
    """A server on free ports, stopped at the end."""
    command = [sys.executable, "-m", "millrace.deploy.cli", "up", "--port", "0"]
    command += ["--data-dir", str(data_dir), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), "the server did not start"
        yield Served(line.split()[1], data_dir, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(STOP_WITHIN_S)
