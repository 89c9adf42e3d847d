"""A supervisor over small programs, run as a process of its own by its tests.

Arguments: a folder, in which each program leaves a line at each start, and what it does then.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from millrace.deploy.supervisor import Supervisor

STOP_S = 3.0


def program(folder: Path, name: str, what: str) -> Callable[[Callable[[str], None]], int]:
    def run(announce: Callable[[str], None]) -> int:
        with (folder / name).open("a") as starts:
            starts.write(f"{os.getpid()}\n")
        count = len((folder / name).read_text().splitlines())
        if what == "fails-twice" and count <= 2:
            return 75
        if what == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        announce("ready")
        while True:
            signal.pause()

    return run


def said(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    place, *wanted = sys.argv[1:]
    pairs = [one.split("=") for one in wanted]
    programs = [(name, program(Path(place), name, what)) for name, what in pairs]
    Supervisor(programs, said, STOP_S).run()
