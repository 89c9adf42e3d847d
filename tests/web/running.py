"""A `millrace up` of a test's own: started, waited for, and stopped by the process that it is."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from millrace.deploy.client import token_of

STOP_WITHIN_S = 30


@dataclass(frozen=True, slots=True)
class Running:
    """Where it answers, and the token of its creator."""

    url: str
    token: str


@contextmanager
def running(data_dir: Path) -> Iterator[Running]:
    command = [sys.executable, "-m", "millrace.deploy.cli", "up", "--port", "0"]
    with (
        (data_dir.parent / "up.log").open("wb") as log,
        subprocess.Popen(
            [*command, "--data-dir", str(data_dir)], stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said = process.stdout.readline().split()
            assert said[:1] == ["ready"], Path(log.name).read_text()
            yield Running(said[1], token_of(data_dir, "creator"))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_WITHIN_S)
