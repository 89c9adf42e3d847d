"""A `millrace up` of its own for a benchmark, and the CPU seconds that it and its workers spend."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from millrace.deploy.client import Target, target
from millrace.deploy.settings import Settings

STOP_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs: where, over which folder, and its process."""

    url: str
    data_dir: Path
    process: psutil.Process

    def as_role(self, role: str) -> Target:
        return target(Settings(data_dir=self.data_dir), role)

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
