"""A worker process, seen from its parent's end of the pipe."""

from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from millrace.schemas.envelope import Recorded
from millrace.schemas.events import DeletionRequested
from millrace.streams.working.worker import Busy, Order, serve
from tests.streams.engine.mill import MILL
from tests.streams.working.hands import bare_ports


@pytest.mark.parametrize("where", ["mkdir", "ports"])
def test_a_disk_without_space_before_the_work_begins_is_busy(tmp_path: Path, where: str) -> None:
    full: Any = Full(tmp_path / "a") if where == "mkdir" else tmp_path / "a"
    request = DeletionRequested("rye", "go", ())
    recorded: Recorded[Any] = Recorded(request, "1" * 32, 0, b"rye", "milling", 0, 0, "")

    def ports(scratch: Path, worker: str) -> Any:
        if where == "ports":
            raise OSError(28, "no space left on device")
        return bare_ports(scratch, worker)

    mine, theirs = Pipe()
    work = replace(MILL, memory_bytes_max=1 << 40)
    serve(Order("mill", recorded, full), work, ports, "w", theirs)
    assert isinstance(mine.recv(), Busy)


class Full(type(Path())):  # type: ignore[misc]
    """A folder on a disk without space."""

    def mkdir(self, *args: Any, **kwargs: Any) -> None:
        raise OSError(28, "no space left on device")
