"""Flushing files and directories to the disk itself, on Linux and macOS alike.

It must never be skipped before something is said to be stored: a rename without it survives
kill -9, but not a loss of power.
"""

import fcntl
import os
from pathlib import Path

# macOS's fsync leaves the bytes in the drive's cache; this does not (fcntl(2) there).
_FULL_FSYNC = getattr(fcntl, "F_FULLFSYNC", None)


def flush_file(descriptor: int) -> None:
    """Returns once the file's bytes and size survive a loss of power. Raises OSError."""
    if _FULL_FSYNC is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, _FULL_FSYNC)


def flush_directory(path: Path) -> None:
    """Returns once the names in the directory survive a loss of power. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flush_file(descriptor)
    finally:
        os.close(descriptor)
