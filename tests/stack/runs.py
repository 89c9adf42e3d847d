"""The folder of one test run's servers, and the end that they all come to, however the run ends.

Every process of a run (pytest itself, and each xdist worker) holds a shared lock on the folder's
lock file; the kernel lets go of it when the process dies, of whatever. A keeper waits for the lock
alone, and so comes to hold it when the last of them is gone: then it ends every server whose pid
lies in the folder. It must never end a server while a process of its run is alive.
"""

import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from millrace.deploy.stack import processes
from millrace.deploy.stack.places import Places

ROOT = Path(__file__).resolve().parents[2]
# Tells xdist's workers the folder of the run that they belong to.
VARIABLE = "STACK_RUN"
WORKER = "PYTEST_XDIST_WORKER"
KEEPER = "keeper"
ENDED_WITHIN_S = 30.0
ASK_EVERY_S = 0.05


class Run:
    """One process's hold on the folder of its run's servers."""

    def __init__(self) -> None:
        self.worker = WORKER in os.environ and VARIABLE in os.environ
        if not self.worker:
            os.environ[VARIABLE] = tempfile.mkdtemp(prefix="millrace-servers-")
        self.folder = Path(os.environ[VARIABLE])
        self.lock: IO[str] = (self.folder / "lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_SH)

    def places(self) -> Places:
        """Ports and folder of the servers that the whole run shares; starts the keeper."""
        with self.alone():
            chosen = self.folder / "places.json"
            if not chosen.exists():
                self.keep()
                ports = asdict(Places.anywhere(self.folder)) | {"folder": ""}
                chosen.write_text(json.dumps(ports))
            return Places(**json.loads(chosen.read_text()) | {"folder": self.folder})

    def keep(self) -> None:
        """Starts the process that outlives this run to end its servers."""
        place = self.folder / KEEPER
        place.mkdir()
        processes.start(keeper_command(self.folder), place)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process of the run starts a shared server meanwhile."""
        with (self.folder / "turn").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield

    def close(self) -> None:
        """Lets go; the run's first process waits until the servers are gone."""
        keeper = processes.running(self.folder / KEEPER)
        self.lock.close()
        if self.worker:
            return
        if keeper is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            processes.ended(keeper, ENDED_WITHIN_S)


def keeper_command(folder: Path) -> list[str]:
    """This module, run as a program by the Python that runs now, from the checkout."""
    return ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.stack.runs", str(folder)]


def keep_until_the_run_is_gone(folder: Path) -> None:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for pid in folder.rglob("pid"):
            process = processes.running(pid.parent)
            if process is not None and process.pid != os.getpid():
                processes.kill(process)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    keep_until_the_run_is_gone(Path(sys.argv[1]))
