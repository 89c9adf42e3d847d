"""One engine a data directory: the second one is told, and changes nothing."""

import fcntl
import os
from pathlib import Path


class DirectoryLocked(Exception):
    """Another engine has the data directory; it must be stopped, or another directory chosen."""


class DirectoryLock:
    """Held from the constructor to `release`, and let go by the kernel when the process dies.

    Raises DirectoryLocked with the holder's process id.
    """

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        path = data_dir / "engine.lock"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode() or "unknown"
            os.close(self._descriptor)
            message = f"{data_dir} is in use by another millrace (process {holder.strip()})"
            raise DirectoryLocked(message) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)
