"""What the four servers of a stack have in common: a folder, a command, a question they answer.

It must never know which server it starts; each says in its own file what is its own.
"""

import shutil
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from millrace.deploy.stack import processes
from millrace.deploy.stack.places import HOST, free
from millrace.deploy.stack.processes import Recorded

ASK_EVERY_S = 0.05
LOG_TAIL_BYTES = 3_000


class NotStarted(Exception):
    """A server that ended, or stayed silent, before it answered; with the end of its log."""


class PortTaken(Exception):
    """A port of the stack's is held by a program that the stack did not start."""


@dataclass(frozen=True, slots=True)
class Server(ABC):
    """One server over `folder`, which holds its settings, data, log and pid. Loopback only."""

    folder: Path
    port: int

    name: ClassVar[str]
    ready_within_s: ClassVar[float] = 60.0
    stopped_within_s: ClassVar[float] = 15.0

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def ports(self) -> tuple[int, ...]:
        """Everything it listens on."""
        return (self.port,)

    @property
    def process(self) -> Recorded | None:
        """The process that runs now and was started by a stack."""
        return processes.running(self.folder)

    @abstractmethod
    def prepare(self) -> None:
        """Brings the folder into the state that a start needs; run before every start."""

    @abstractmethod
    def command(self) -> list[str]:
        """What is run; the process must stay in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves its clients now. Asks once, waits at most a second."""

    def begin(self) -> None:
        """Starts it without waiting. Raises PortTaken."""
        taken = [f"{HOST}:{port}" for port in self.ports if not free(port)]
        if taken:
            raise PortTaken(f"{self.name} can't start: another program holds {', '.join(taken)}")
        self.data.mkdir(parents=True, exist_ok=True)
        self.prepare()
        processes.start(self.command(), self.folder)

    def wait(self) -> None:
        """Returns when it answers. Raises NotStarted."""
        until_s = time.monotonic() + self.ready_within_s
        while not self.answers():
            if self.process is None:
                raise NotStarted(f"{self.name} ended while it started:\n{self.log_tail()}")
            if time.monotonic() > until_s:
                raise NotStarted(
                    f"{self.name} was silent for {self.ready_within_s:g} s:\n{self.log_tail()}"
                )
            time.sleep(ASK_EVERY_S)

    def stop(self) -> bool:
        """Ends it, with force past its time; whether it ended by itself. Not running is ended."""
        process = self.process
        return process is None or processes.stop(process, self.stopped_within_s)

    def wipe(self) -> None:
        """Forgets everything it stored; it must not run."""
        assert self.process is None, f"{self.name} runs"
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self) -> str:
        try:
            return (self.folder / "log").read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        except FileNotFoundError:
            return "(no log)"
