"""Completes one upload in child after child, each killed one line further; prints what was found.

Run as a process of its own: it forks, and so must have no other thread. Arguments: an empty
directory. The last line is `lines N completable N complete N`.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from millrace.sinks.directory_objects import DirectoryObjects
from millrace.sinks.signing import Signer, SigningKeys
from tests.sinks.door_client import SECRET, Clock

KEY = "originals/v1/u1"
BODIES = {1: b"the only part"}


def open_objects(root: Path) -> DirectoryObjects:
    now_ms = Clock().now_ms
    signer = Signer(SigningKeys("one", {"one": SECRET}), "http://store", now_ms)
    return DirectoryObjects(root, signer, now_ms, lambda _event: None)


def prepare(root: Path) -> tuple[str, dict[int, str]]:
    """An upload with its parts, by a process that is gone afterwards."""
    store = open_objects(root)
    upload, parts = store.start(KEY), {}
    for number, body in BODIES.items():
        writer = store.open_part(KEY, upload, number, with_sha256=False)
        writer.write(body)
        parts[number] = store.keep_part(KEY, upload, number, writer).etag
    store.close()
    return upload, parts


def kill_at(line: int) -> Any:
    """A trace function that kills this process before that line of the sinks is run."""
    seen = 0

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal seen
        if "/millrace/sinks/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def complete_killed(root: Path, upload: str, parts: dict[int, str], line: int) -> bool:
    """Whether the child was killed before it had completed the upload."""
    child = os.fork()
    if child == 0:
        store = open_objects(root)
        sys.settrace(kill_at(line))
        store.complete(KEY, upload, parts)
        sys.settrace(None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main(root: Path) -> None:
    line, completable, complete = 0, 0, 0
    upload, parts = prepare(root)
    while complete_killed(root, upload, parts, line + 1):
        line += 1
        store = open_objects(root)
        if store.head(KEY) is None:
            completable += 1
            assert len(store.list_parts(KEY, upload)) == len(BODIES), line
        else:
            complete += 1
        store.complete(KEY, upload, parts)
        assert store.read(KEY) == b"".join(BODIES.values()), line
        store.deliver_notifications()
        store.delete(KEY)
        store.close()
        upload, parts = prepare(root)
    sys.stdout.write(f"lines {line} completable {completable} complete {complete}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
