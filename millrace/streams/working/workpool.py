"""The pool of worker processes: media work that can't stall, crash or starve the engine.

A worker that dies costs one attempt and nobody else; one that takes too long is killed. The pool
waits on pipes and uses no CPU while nothing happens. It must never append: it reports to the
engine, and a worker goes on when the engine says that its result is durable.

Processes of our own and not a library's: each result of a running request is acknowledged on its
worker's own pipe, which pools of futures do not offer.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic

from millrace.streams import points
from millrace.streams.declarations import Failure, Work
from millrace.streams.points import At
from millrace.streams.working.attempts import Made
from millrace.streams.working.reports import R, Reports
from millrace.streams.working.worker import Busy, Order, PortsFactory

PROGRAM = "import sys; sys.path[:] = {path!r}; from {module} import main; main({requests}, {life})"
# A worker that can't even start is a bug of the installation; the engine crashes and says so.
FAILED_STARTS_MAX = 5


class WorkersCannotStart(AssertionError):
    """Workers died before they were ready, time after time."""


class Worker(Generic[R]):
    """A process, and the request that it has, if any."""

    def __init__(self, number: int, launch: "Launch") -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{number}"
        mine, theirs = socket.socketpair()
        life_read, self._life = os.pipe()
        program = PROGRAM.format(
            path=sys.path,
            module="millrace.streams.working.worker",
            requests=theirs.fileno(),
            life=life_read,
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), life_read),
        )
        theirs.close()
        os.close(life_read)
        self.pipe: Connection[Any, Any] = Connection(mine.detach())
        for message in (launch.works, launch.factory, self.name):
            self.pipe.send(message)
        self.ready = False
        self.request: R | None = None
        self.scratch: Path | None = None
        self.number = 0
        self.until_s = float("inf")
        self.left_s = 0.0
        # Why it was killed, where the pool did it.
        self.verdict: Failure | None = None

    def end(self) -> int:
        """Kills the process and waits for it; its exit code, negative for a signal."""
        self.process.kill()
        code = self.process.wait()
        self.pipe.close()
        os.close(self._life)
        return code


@dataclass(frozen=True, slots=True)
class Launch:
    """What every worker is told first."""

    works: tuple[Work, ...]
    factory: PortsFactory


class WorkPool(Generic[R]):
    """Workers, warm from `start` to `close`. `assign` is for the engine's thread."""

    def __init__(
        self, launch: Launch, workers: int, scratch: Path, reports: Reports[R], at: At
    ) -> None:
        self._launch = launch
        self._count = workers
        self._scratch = scratch
        self._reports = reports
        self._at = at
        self._lock = threading.Lock()
        self._idle: deque[Worker[R]] = deque()
        self._workers: dict[Connection[Any, Any], Worker[R]] = {}
        self._started = 0
        self._failed_starts = 0
        self._attempts = 0
        self._closing = False
        self._woken, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="workpool")

    def start(self) -> None:
        """Starts the workers; they report idle when they are warm."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)
        self._thread.start()

    def close(self) -> None:
        """Kills the workers; what they had in hand is done again by whoever comes next."""
        self._closing = True
        os.write(self._wake, b"\0")
        self._thread.join()
        with self._lock:
            os.close(self._woken)
            os.close(self._wake)
        shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def has_idle(self) -> bool:
        return bool(self._idle)

    def assign(self, request: R) -> None:
        """Gives the request to an idle worker; there must be one."""
        self._attempts += 1
        scratch = self._scratch / f"attempt-{self._attempts}"
        with self._lock:
            worker = self._idle.popleft()
            worker.request, worker.scratch, worker.number = request, scratch, 0
            worker.until_s = time.monotonic() + request.work.timeout_s
        try:
            worker.pipe.send(Order(request.work.name, request.recorded, scratch))
        except OSError:
            # It died while idle; the pool's thread sees that too and reports the request.
            return
        self._at(points.WORK_TAKEN)
        os.write(self._wake, b"\0")

    def abandon(self, request: R) -> None:
        """Kills the worker that has the request, and reports nothing of it any more. Any thread."""
        with self._lock:
            for worker in self._workers.values():
                if worker.request is request:
                    worker.request, worker.until_s = None, float("inf")
                    worker.process.kill()

    def _run(self) -> None:
        try:
            for _ in range(self._count):
                self._start_worker()
            while not self._closing:
                self._wait_once()
        except BaseException as bug:  # noqa: BLE001 - the hook ends the process
            self._reports.crashed(bug)
        finally:
            for worker in self._workers.values():
                worker.end()

    def _start_worker(self) -> None:
        if self._failed_starts >= FAILED_STARTS_MAX:
            raise WorkersCannotStart(f"{self._failed_starts} workers died before they were ready")
        self._started += 1
        worker: Worker[R] = Worker(self._started, self._launch)
        with self._lock:
            self._workers[worker.pipe] = worker

    def _wait_once(self) -> None:
        """Waits for a word of a worker, a death, a time limit or a call."""
        until_s = min((w.until_s for w in self._workers.values()), default=float("inf"))
        timeout = None if until_s == float("inf") else max(0.0, until_s - time.monotonic())
        for ready in wait([*self._workers, self._woken], timeout):
            if isinstance(ready, Connection):
                self._hear(self._workers[ready])
            else:
                os.read(self._woken, 4096)
        now_s = time.monotonic()
        for worker in self._workers.values():
            if worker.until_s <= now_s and worker.request is not None:
                text = f"took longer than {worker.request.work.timeout_s:g} s"
                worker.verdict = Failure("timeout", text, permanent=False)
                worker.until_s = float("inf")
                worker.process.kill()

    def _hear(self, worker: Worker[R]) -> None:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        request = worker.request
        if not worker.ready:
            worker.ready = True
            self._failed_starts = 0
        elif request is None:
            # Abandoned: its last words count no more, and its death comes next.
            return
        elif isinstance(message, Made):
            number, worker.number = worker.number, worker.number + 1
            # Its clock stands still while it waits for the word that the result is durable.
            worker.left_s, worker.until_s = worker.until_s - time.monotonic(), float("inf")
            self._reports.made(request, number, message, lambda: self._go_on(worker))
            return
        else:
            self._end(request, message)
        with self._lock:
            worker.request, worker.until_s = None, float("inf")
            self._idle.append(worker)
        self._reports.idle()

    def _go_on(self, worker: Worker[R]) -> None:
        self._at(points.WORK_EMITTED)
        with self._lock:
            if self._closing:
                return
            worker.until_s = time.monotonic() + worker.left_s
            os.write(self._wake, b"\0")
        try:
            worker.pipe.send(None)
        except OSError:
            # It died meanwhile; the pool's thread reports that.
            return

    def _end(self, request: R, message: Failure | Busy | None) -> None:
        """Reports how an attempt ended."""
        if isinstance(message, Busy):
            self._reports.busy(request)
            return
        self._at(points.WORK_BEFORE_DONE)
        if isinstance(message, Failure):
            self._reports.failed(request, message)
        else:
            self._reports.finished(request)

    def _bury(self, worker: Worker[R]) -> None:
        """A worker is gone: its request failed, and another worker takes its place."""
        with self._lock:
            del self._workers[worker.pipe]
            if worker in self._idle:
                self._idle.remove(worker)
        code = worker.end()
        if worker.scratch is not None:
            shutil.rmtree(worker.scratch, ignore_errors=True)
        if worker.request is not None:
            self._end(worker.request, worker.verdict or verdict_on(code))
        if not worker.ready:
            self._failed_starts += 1
        if not self._closing:
            self._start_worker()


def verdict_on(code: int) -> Failure:
    """What a worker's exit code says of its request."""
    if code == -signal.SIGXCPU:
        return Failure("timeout", "used up its CPU time", permanent=False)
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return Failure("worker_lost", f"its worker ended with {how}", permanent=False)
