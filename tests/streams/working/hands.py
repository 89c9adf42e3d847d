"""Ports for works that touch nothing, and works that misbehave, importable by worker processes."""

import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from millrace.processors.emit import Emit
from millrace.processors.media.failures import MediaFailed
from millrace.processors.media.probe import Limits
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import DeletionRequested, ObjectsDeleted
from millrace.sinks.ports import StoreBusy
from millrace.streams.declarations import WorkPorts
from millrace.streams.points import nowhere
from tests.streams.engine.mill import FLOUR


def bare_ports(scratch: Path, worker: str) -> WorkPorts:
    """Works of these tests use scratch and worker alone."""
    nothing = cast("Any", None)
    return WorkPorts(nothing, nothing, scratch, worker, cast("Limits", None), nowhere)


def misbehave(recorded: Recorded[DeletionRequested], ports: WorkPorts) -> Iterator[Emit]:
    """Does what the request's reason says, then says that it is done."""
    what = recorded.event.reason
    video_id = recorded.event.video_id
    yield Emit(FLOUR, ObjectsDeleted(video_id, "started", os.getpid()))
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "fault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "sleep":
        time.sleep(60)
    elif what == "spin":
        while True:
            pass
    elif what == "eat":
        bytearray(2 << 30)
    elif what == "busy" and not busy_before(ports):
        raise StoreBusy("come back later")
    elif what == "mark":
        (ports.scratch.parent / "went-on").touch()
    elif what == "full" and not busy_before(ports):
        raise OSError(errno.ENOSPC, "no space left on device")
    elif what == "full-said-otherwise" and not busy_before(ports):
        raise MediaFailed("encode_failed", "it did not go") from OSError(errno.EDQUOT, "over quota")
    elif what == "litter":
        (ports.scratch / "litter").write_bytes(b"x" * 1000)
    yield Emit(FLOUR, ObjectsDeleted(video_id, "done", 0))


def busy_before(ports: WorkPorts) -> bool:
    """Whether this was called before with the same data directory."""
    mark = ports.scratch.parent / "was-busy"
    if mark.exists():
        return True
    mark.touch()
    return False


def take_long(recorded: Recorded[DeletionRequested], ports: WorkPorts) -> Iterator[Emit]:
    """Says that it began, takes as long as the request says, in seconds, and says that it ended."""
    event = recorded.event
    yield Emit(FLOUR, ObjectsDeleted(event.video_id, "started", os.getpid()))
    time.sleep(float(event.reason))
    yield Emit(FLOUR, ObjectsDeleted(event.video_id, "done", 0))
