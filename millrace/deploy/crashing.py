"""Kills a process at a named point, for the tests of what a kill leaves behind.

`POINT:N` kills the server, `worker/POINT:N` the media worker alone, with SIGKILL, at the n-th time
that one process passes the point. A file says that it was done, so that what is started again over
the same data folder lives. On a cluster `NAME@POINT:N` is for the worker of that name alone, and
several may be given, with commas between them.
"""

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

MARK = "killed-at"
WORKER = "worker/"


def aimed(specs: str, name: str) -> str:
    """The spec that is for the worker of that name, empty where none is."""
    for spec in specs.split(","):
        who, _, what = spec.rpartition("@")
        if who in ("", name):
            return what
    return ""


@dataclass(slots=True)
class Killer:
    """The hook that engines and works call; it does nothing where spec is empty.

    name tells the marks of several processes over one folder apart.
    """

    spec: str
    data_dir: Path
    name: str = ""
    passed: int = 0
    point: str = field(init=False)
    times: int = field(init=False)

    def __post_init__(self) -> None:
        self.point, _, times = self.spec.partition(":")
        self.times = int(times or 1)

    def in_server(self, point: str) -> None:
        """Called by the engine, in the server's process."""
        if self.point == point and self.due():
            os.kill(os.getpid(), signal.SIGKILL)

    def in_worker(self, point: str) -> None:
        """Called by a work; its server is the parent."""
        if self.point == point and self.due():
            os.kill(os.getppid(), signal.SIGKILL)
        elif self.point == WORKER + point and self.due():
            os.kill(os.getpid(), signal.SIGKILL)

    def due(self) -> bool:
        self.passed += 1
        mark = self.data_dir / (f"{MARK}-{self.name}" if self.name else MARK)
        if self.passed != self.times or mark.exists():
            return False
        mark.write_text(self.spec)
        return True
