"""Servers as processes: started apart from whoever starts them, found again and ended by their pid.

A pid alone names nobody for long. What is recorded is the pid and when its process was born, and
nothing is ever signalled whose birth is another: the number may be a stranger's by now.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

PROCESSES = Path("/proc")
BOOT = PROCESSES / "sys/kernel/random/boot_id"
STATE, START_TICKS = 0, 19  # Fields of /proc/PID/stat after the name in brackets; proc(5).
ASK_EVERY_S = 0.02
KILLED_WITHIN_S = 10.0
# The shell ends at once, so the server is no child of ours: it outlives us and is never our zombie.
# `$0` is the log, `$@` the command; what is printed is the server's pid.
APART = '"$@" >>"$0" 2>&1 </dev/null & echo $!'


class Unkillable(Exception):
    """A process that is still there after SIGKILL: it waits inside the kernel."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A process that was started here, told apart from a later one of the same number."""

    pid: int
    born: str

    @property
    def alive(self) -> bool:
        return birth(self.pid) == self.born


def birth(pid: int) -> str | None:
    """What the system says about when a process was born; None where it is none, or a zombie."""
    if not BOOT.exists():
        return _birth_by_ps(pid)
    place = PROCESSES / str(pid)
    try:
        fields = (place / "stat").read_text().rpartition(")")[2].split()
        # A process is a zombie as soon as its first thread is; the others may still hold ports.
        threads = len(list((place / "task").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return None
    dead = fields[STATE] == "Z" and threads == 1
    return None if dead else f"{BOOT.read_text().strip()} {fields[START_TICKS]}"


def _birth_by_ps(pid: int) -> str | None:
    asked = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = asked.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def start(command: Sequence[str], folder: Path) -> Recorded:
    """Starts it in a session of its own; its output is added to folder/log, its pid is recorded."""
    shell = subprocess.run(
        ["sh", "-c", APART, str(folder / "log"), *command],
        stdout=subprocess.PIPE, text=True, check=True, start_new_session=True, cwd=folder,
    )  # fmt: skip
    pid = int(shell.stdout)
    # A process that has ended already has no birth: what is recorded then is dead, and never ours.
    process = Recorded(pid, birth(pid) or "")
    written = folder / "pid.new"
    written.write_text(json.dumps(asdict(process)))
    written.replace(folder / "pid")
    return process


def running(folder: Path) -> Recorded | None:
    """The process that folder/pid names, if it is alive and the one that was started."""
    try:
        found = Recorded(**json.loads((folder / "pid").read_text()))
    except FileNotFoundError:
        return None
    return found if found.alive else None


def send(process: Recorded, number: signal.Signals) -> None:
    """Signals it, if it is still the one that was started."""
    if process.alive:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def ended(process: Recorded, within_s: float) -> bool:
    """Waits for its end; whether it came."""
    until_s = time.monotonic() + within_s
    while process.alive and time.monotonic() < until_s:
        time.sleep(ASK_EVERY_S)
    return not process.alive


def stop(process: Recorded, patience_s: float) -> bool:
    """SIGTERM, and SIGKILL where that is not enough; whether it ended by itself.

    Raises Unkillable where even SIGKILL does not end it.
    """
    send(process, signal.SIGTERM)
    # One that was stopped by SIGSTOP hears SIGTERM only when it goes on.
    send(process, signal.SIGCONT)
    if ended(process, patience_s):
        return True
    kill(process)
    return False


def kill(process: Recorded) -> None:
    """SIGKILL, as a power cut would. Raises Unkillable."""
    send(process, signal.SIGKILL)
    if not ended(process, KILLED_WITHIN_S):
        raise Unkillable(f"process {process.pid} is still there after SIGKILL")
