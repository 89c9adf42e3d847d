"""A disk that can lose power: what was written and not synced may be gone, or there in part.

It stands below SQLite as a VFS. Files are really written, and beside each it is known what the last
sync made durable and which writes came after it.
"""

import random
from pathlib import Path
from typing import Any

import apsw

NAME = "losing"


class Contents:
    """One file: what is durable, and what was done to it since."""

    def __init__(self, durable: bytes) -> None:
        self.durable = bytearray(durable)
        self.pending: list[tuple[int, bytes | None]] = []

    def write(self, offset: int, data: bytes) -> None:
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        self.pending.append((size, None))

    def sync(self) -> None:
        for change in self.pending:
            apply(self.durable, change)
        self.pending.clear()

    def after_loss(self, luck: random.Random) -> bytes:
        """The durable bytes, with any of the later writes, the last of them perhaps torn."""
        left = bytearray(self.durable)
        for offset, data in self.pending:
            if luck.random() < 0.5:
                whole = data is None or luck.random() < 0.7
                apply(left, (offset, data if data is None or whole else data[: len(data) // 2]))
        return bytes(left)


def apply(contents: bytearray, change: tuple[int, bytes | None]) -> None:
    offset, data = change
    if data is None:
        del contents[offset:]
        return
    contents.extend(bytes(max(0, offset + len(data) - len(contents))))
    contents[offset : offset + len(data)] = data


class LosingFile(apsw.VFSFile):
    """Passes everything on, and remembers."""

    def __init__(self, disk: "LosingDisk", name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        path = Path(name if isinstance(name, str) else name.filename())
        before = path.read_bytes() if path.exists() else b""
        self.contents = disk.files.setdefault(path, Contents(before))

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        super().xWrite(data, offset)
        self.contents.write(offset, bytes(data))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - SQLite's name
        super().xTruncate(size)
        self.contents.truncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        super().xSync(flags)
        self.contents.sync()


class LosingDisk(apsw.VFS):
    """Registered while it lives. Shared memory is the base's: it never survives anyway."""

    def __init__(self) -> None:
        self.files: dict[Path, Contents] = {}
        super().__init__(NAME, "", maxpathname=0)

    def xOpen(self, name: Any, flags: list[int]) -> LosingFile:  # noqa: N802 - SQLite's name
        return LosingFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        super().xDelete(filename, syncdir)
        self.files.pop(Path(filename), None)

    def connect(self, path: Path | None) -> Any:
        """For Store: a connection over this disk."""
        return apsw.Connection(str(path), vfs=NAME)

    def lose_power(self, into: Path, luck: random.Random) -> None:
        """Leaves in a folder what a machine would find after the loss, now."""
        into.mkdir()
        for path, contents in self.files.items():
            (into / path.name).write_bytes(contents.after_loss(luck))
