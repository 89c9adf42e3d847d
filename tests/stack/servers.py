"""Real servers as tests hold them: shared ones to talk to, private ones to be broken.

How each is started is millrace/deploy/stack's business; this module must never know it better.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from millrace.deploy.stack import places, processes
from millrace.deploy.stack.server import Server


@dataclass(frozen=True)
class SharedServer:
    """A server for all tests of a run: nobody may stop it, and names in it must be random."""

    server: Server

    @property
    def address(self) -> str:
        return self.server.address

    @property
    def host(self) -> str:
        return places.HOST

    @property
    def port(self) -> int:
        return self.server.port


@dataclass(frozen=True)
class PrivateServer(SharedServer):
    """A server of one test: it keeps its port and its data over its deaths."""

    def start(self) -> None:
        """Starts it and waits until it answers. Raises NotStarted, PortTaken."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        assert not self.alive, f"{self.server.name} runs"
        self.server.begin()

    def wait(self) -> None:
        self.server.wait()

    @property
    def alive(self) -> bool:
        return self.server.process is not None

    def terminate(self) -> None:
        """Asks it to end, and waits; past its time it is killed."""
        self.server.stop()

    def kill(self) -> None:
        """Ends it as a power cut would, and waits."""
        process = self.server.process
        if process is not None:
            processes.kill(process)

    def pause(self) -> None:
        """It holds its connections and says nothing more, until `resume`."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        process = self.server.process
        assert process is not None, f"{self.server.name} does not run"
        processes.send(process, number)

    def log(self) -> str:
        """The end of what it wrote, over all its lives."""
        return self.server.log_tail()

    def wipe(self) -> None:
        """Forgets everything it stored; it must be down."""
        self.server.wipe()


class S3Account(SharedServer):
    """How an S3 server is spoken to."""

    access_key = places.S3_ACCESS_KEY
    secret_key = places.S3_SECRET_KEY
    region = places.S3_REGION

    @property
    def url(self) -> str:
        return f"http://{self.address}"


class SharedS3(S3Account):
    """The S3 server for all tests of a run."""


class PrivateS3(PrivateServer, S3Account):
    """An S3 server of one test."""


ServerFactory: TypeAlias = Callable[[], PrivateServer]
S3Factory: TypeAlias = Callable[..., PrivateS3]
