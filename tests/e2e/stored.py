"""The files of an object store that a test looks into from outside, as a disk check would.

It must never be used for what a client can ask for.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.servers import RunningMillrace


def blobs(server: RunningMillrace, part_of_key: str) -> dict[str, Path]:
    """The file that holds each object whose key contains the text."""
    objects = server.data_dir / "objects"
    with closing(sqlite3.connect(objects / "index.sqlite", timeout=30)) as index:
        rows = index.execute("SELECT key, blob FROM objects WHERE instr(key, ?)", (part_of_key,))
        names: dict[str, str] = dict(rows)
    return {key: next(objects.glob(f"blobs/**/{blob}")) for key, blob in names.items()}


def read_object(server: RunningMillrace, part_of_key: str) -> bytes:
    """The bytes of the one object whose key contains the text."""
    (path,) = blobs(server, part_of_key).values()
    return path.read_bytes()
