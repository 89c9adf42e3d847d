"""`worker all`: a child process for each topology and lane, started again when it ends.

Children are forked, so that what they import is imported once and shared: nothing of a child may be
opened before. The supervisor itself has one thread, waits on pipes, and decides nothing but starts
and ends; a child that does not end when it is asked to is killed.
"""

import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from millrace.streams.working.worker import die_with_parent

# A child that ended is started again after a pause that doubles; one that lived long begins anew.
PAUSE_MIN_S = 0.2
PAUSE_MAX_S = 10.0
LIVED_LONG_S = 60.0
# Longer than a worker takes at the most to hand back what it has in hand.
STOP_S = 60.0
NEVER_S = float("inf")

# Runs as the child until it is told to end by SIGTERM; announces once that it is ready, in words.
Program = Callable[[Callable[[str], None]], int]


@dataclass(slots=True)
class Child:
    """One program, and the process that runs it now, if any."""

    name: str
    program: Program
    pid: int = 0
    started_s: float = 0.0
    start_at_s: float = 0.0
    pause_s: float = PAUSE_MIN_S
    was_ready: bool = False
    was_killed: bool = False
    # What it says comes out here; its own end goes with it.
    said: socket.socket | None = None
    # Open as long as the supervisor lives.
    life: int = -1


@dataclass(slots=True)
class Supervisor:
    """Runs programs until SIGTERM or SIGINT. `told` gets a line for each thing that happens."""

    programs: Sequence[tuple[str, Program]]
    told: Callable[[str], None]
    stop_s: float = STOP_S
    children: list[Child] = field(init=False)
    stopping_s: float = NEVER_S

    def __post_init__(self) -> None:
        self.children = [Child(name, program) for name, program in self.programs]

    def run(self) -> None:
        """Returns when every child has ended."""
        # What is there before the forks stays shared: the collector would touch and copy it.
        gc.collect()
        gc.freeze()
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._noted)
        with selectors.DefaultSelector() as waiting:
            waiting.register(woken, selectors.EVENT_READ)
            while self.stopping_s == NEVER_S or any(child.pid for child in self.children):
                self._start_due(waiting)
                for key, _ in waiting.select(self._pause_s()):
                    if isinstance(key.data, Child):
                        self._hear(key.data)
                    else:
                        woken.recv(4096)
                self._bury(waiting)
                self._kill_late()

    def _noted(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD and self.stopping_s == NEVER_S:
            self.stopping_s = time.monotonic()
            for child in self.children:
                if child.pid:
                    os.kill(child.pid, signal.SIGTERM)

    def _pause_s(self) -> float | None:
        """Until the next start or kill that is due."""
        now_s = time.monotonic()
        if self.stopping_s != NEVER_S:
            return max(0.05, self.stopping_s + self.stop_s - now_s)
        starts = [child.start_at_s for child in self.children if not child.pid]
        return max(0.0, min(starts) - now_s) if starts else None

    def _start_due(self, waiting: selectors.BaseSelector) -> None:
        for child in self.children:
            if self.stopping_s != NEVER_S:
                return
            if not child.pid and child.start_at_s <= time.monotonic():
                self._start(child)
                waiting.register(child.said, selectors.EVENT_READ, child)  # type: ignore[arg-type]

    def _start(self, child: Child) -> None:
        child.said, says = socket.socketpair()
        life, child.life = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal in between is the parent's or the child's, never both.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        child.pid = os.fork()
        if not child.pid:
            self._become(child, says, life)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
        child.started_s = time.monotonic()
        says.close()
        os.close(life)

    def _become(self, child: Child, says: socket.socket, life: int) -> None:
        """What the child does; it never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            for other in self.children:
                # Copies of pipes that would keep a supervisor's end unseen.
                if other.life >= 0:
                    os.close(other.life)
                if other.said is not None:
                    other.said.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
            die_with_parent(life)
            code = child.program(lambda text: says.sendall(text.encode()))
        except BaseException as bug:  # noqa: BLE001 - the boundary of the process
            sys.excepthook(type(bug), bug, bug.__traceback__)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _hear(self, child: Child) -> None:
        assert child.said is not None
        text = child.said.recv(4096).decode()
        if not text:
            # It has ended; `_bury` sees that too, and says how.
            return
        self.told(f"{child.name} {child.pid} {text}")
        child.was_ready = True
        if all(one.was_ready for one in self.children):
            self.told("ready all")

    def _bury(self, waiting: selectors.BaseSelector) -> None:
        """Notes which children have ended, and when each is to be started again."""
        for child in self.children:
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            assert child.said is not None
            waiting.unregister(child.said)
            child.said.close()
            os.close(child.life)
            child.pid, child.said, child.life = 0, None, -1
            if self.stopping_s == NEVER_S:
                self._again(child, os.waitstatus_to_exitcode(status))

    def _again(self, child: Child, code: int) -> None:
        now_s = time.monotonic()
        if now_s - child.started_s > LIVED_LONG_S:
            child.pause_s = PAUSE_MIN_S
        child.start_at_s = now_s + child.pause_s
        self.told(f"{child.name} ended with {code}; it starts again in {child.pause_s:g} s")
        child.pause_s = min(2 * child.pause_s, PAUSE_MAX_S)

    def _kill_late(self) -> None:
        if time.monotonic() < self.stopping_s + self.stop_s:
            return
        for child in self.children:
            if child.pid and not child.was_killed:
                self.told(f"{child.name} did not end in time and is killed")
                os.kill(child.pid, signal.SIGKILL)
                child.was_killed = True
