"""Files with bytes and no names of their own: a blob is written once and never changed.

Nothing here is visible to a reader before the index names it, so no call may ever overwrite a
blob, and a blob that nothing names is rubbish by definition.
"""

import errno
import hashlib
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from millrace.sinks.busy import busy_errors
from millrace.sinks.durable import flush_directory, flush_file

COPY_BYTES = 1 << 20
_READ_ONLY = 0o444


class _Hash(Protocol):
    def update(self, data: bytes | bytearray, /) -> None: ...
    def hexdigest(self) -> str: ...


class BlobWriter:
    """A blob on its way. Calls block, one at a time; the last is finish or discard.

    `size_bytes` is what was written, `md5` and, where asked for, `sha256` what it hashes to.
    """

    def __init__(self, path: Path, with_sha256: bool = False) -> None:
        self.path = path
        self.size_bytes = 0
        self.md5: _Hash = hashlib.md5(usedforsecurity=False)
        self.sha256 = hashlib.sha256() if with_sha256 else None
        # A writer may be discarded while a thread still writes: the descriptor's number must not
        # be given to another file before that one has ended.
        self._lock = threading.Lock()
        with busy_errors():
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _READ_ONLY)

    @property
    def blob(self) -> str:
        return self.path.name

    @property
    def finished(self) -> bool:
        """Whether finish or discard was called: there is nothing left to discard."""
        return self._descriptor < 0

    def write(self, data: bytes | bytearray) -> None:
        """Raises StoreFull, StoreBusy, ValueError where it was discarded."""
        with self._lock:
            self.md5.update(data)
            if self.sha256 is not None:
                self.sha256.update(data)
            self._write_unhashed(data)

    def finish(self) -> str:
        """The blob's name, once it survives a loss of power. Raises StoreFull, StoreBusy."""
        try:
            with self._lock, busy_errors():
                flush_file(self._descriptor)
                flush_directory(self.path.parent)
                # Not what was counted but what is there: a short write would show here.
                size_bytes = os.fstat(self._descriptor).st_size
        except BaseException:
            self.discard()
            raise
        self._close()
        assert size_bytes == self.size_bytes, f"{self.path}: {size_bytes} of {self.size_bytes}"
        return self.blob

    def discard(self) -> None:
        """Idempotent; waits for a write that is under way."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def append(self, source: Path) -> None:
        """Adds a file's bytes without hashing them. Raises as write does, and FileNotFoundError."""
        with self._lock, busy_errors(), source.open("rb", buffering=0) as file:
            while self._copy_in_kernel(file.fileno()):
                pass
            while data := file.read(COPY_BYTES):
                self._write_unhashed(data)

    def _copy_in_kernel(self, source: int) -> bool:
        """Copies some; False at the end, or where this system or file system cannot."""
        if not hasattr(os, "copy_file_range"):
            return False
        try:
            copied = os.copy_file_range(source, self._descriptor, 64 * COPY_BYTES)
        except OSError:
            return False  # read and write meet the error again, if it is one
        self.size_bytes += copied
        return copied > 0

    def _write_unhashed(self, data: bytes | bytearray) -> None:
        if self._descriptor < 0:
            raise ValueError(f"{self.path} was discarded")
        view = memoryview(data)
        with busy_errors():
            while view:
                written = os.write(self._descriptor, view)
                self.size_bytes += written
                view = view[written:]


class Blobs:
    """The blobs below one directory, which is made if missing. Any thread or process may call."""

    def __init__(self, root: Path) -> None:
        self._root = root
        with busy_errors():
            for number in range(0 if (root / "ff").is_dir() else 256):
                (root / f"{number:02x}").mkdir(parents=True, exist_ok=True)
            # Always: who made them may have been killed before this.
            flush_directory(root)
            flush_directory(root.parent)

    def path(self, blob: str) -> Path:
        return self._root / blob[:2] / blob

    def create(self, with_sha256: bool = False) -> BlobWriter:
        """A new blob to write. Raises StoreFull, StoreBusy."""
        return BlobWriter(self.path(uuid.uuid4().hex), with_sha256)

    def write_from(self, chunks: Iterator[bytes]) -> BlobWriter:
        """A finished blob of these bytes; nothing is left where it raises."""
        with self._writing() as writer:
            for chunk in chunks:
                writer.write(chunk)
        return writer

    def join(self, blobs: Sequence[str]) -> BlobWriter:
        """A finished blob of these blobs' bytes, unhashed. Raises FileNotFoundError."""
        with self._writing() as writer:
            for blob in blobs:
                writer.append(self.path(blob))
        return writer

    @contextmanager
    def _writing(self, path: Path | None = None) -> Iterator[BlobWriter]:
        writer = self.create() if path is None else BlobWriter(path)
        try:
            yield writer
        except BaseException:
            writer.discard()
            raise
        writer.finish()

    def link(self, blob: str) -> str:
        """Another name for the same bytes. Raises FileNotFoundError, StoreFull, StoreBusy."""
        path = self.path(uuid.uuid4().hex)
        with busy_errors():
            os.link(self.path(blob), path)
            flush_directory(path.parent)
        return path.name

    def place(self, blob: str, path: Path) -> None:
        """The blob's bytes at `path`: the blob itself where that is possible, else a copy.

        Raises FileExistsError, FileNotFoundError, StoreFull, StoreBusy.
        """
        try:
            with busy_errors():
                os.link(self.path(blob), path)
            return
        except OSError as error:
            # Another file system, one without hard links, or more links than it takes.
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                raise
        if path.exists():
            raise FileExistsError(path)
        with self._writing(path.with_name(f"{path.name}.{uuid.uuid4().hex}")) as writer:
            writer.append(self.path(blob))
        writer.path.rename(path)

    def holds(self, blob: str, size_bytes: int) -> bool:
        """Whether the bytes are there, as many as there should be."""
        try:
            return self.path(blob).stat().st_size == size_bytes
        except FileNotFoundError:
            return False

    def remove(self, blobs: Sequence[str]) -> None:
        """Idempotent. Not flushed: one that comes back after a loss of power is swept."""
        for blob in blobs:
            self.path(blob).unlink(missing_ok=True)

    def unchanged_since(self, before_ms: int) -> Iterator[str]:
        """Blobs whose file was last written, linked or renamed before then."""
        for directory in sorted(self._root.iterdir()):
            for entry in os.scandir(directory):
                if entry.stat().st_ctime_ns < before_ms * 1_000_000:
                    yield entry.name


def read_file(path: Path) -> Iterator[bytes]:
    """The file's bytes in pieces. Raises FileNotFoundError, StoreBusy."""
    with busy_errors(), path.open("rb", buffering=0) as file:
        while data := file.read(COPY_BYTES):
            yield data
