"""`worker all`: children that end are started again, and none outlives the supervisor."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

WITHIN_S = 20.0


@contextmanager
def supervised(folder: Path, *programs: str) -> Iterator["subprocess.Popen[str]"]:
    """A supervisor over `name=what` programs; its children end with it."""
    command = [sys.executable, "-m", "tests.deploy.supervised", str(folder), *programs]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def lines_until(process: "subprocess.Popen[str]", wanted: str) -> list[str]:
    assert process.stdout is not None
    found: list[str] = []
    for line in process.stdout:
        found.append(line.strip())
        if found[-1] == wanted:
            return found
    pytest.fail(f"it ended before it said {wanted!r}: {found}")


def pids(folder: Path, name: str) -> list[int]:
    return [int(line) for line in (folder / name).read_text().splitlines()]


def gone(pid: int) -> bool:
    try:
        psutil.Process(pid).wait(WITHIN_S)
    except psutil.NoSuchProcess:
        return True
    return not psutil.pid_exists(pid)


def test_a_child_that_ends_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    with supervised(tmp_path, "one=fails-twice", "two=lives") as process:
        found = lines_until(process, "ready all")
        assert found.count("one ended with 75; it starts again in 0.2 s") == 1
        assert found.count("one ended with 75; it starts again in 0.4 s") == 1
        assert (len(pids(tmp_path, "one")), len(pids(tmp_path, "two"))) == (3, 1)
        psutil.Process(pids(tmp_path, "two")[0]).kill()
        lines_until(process, "two ended with -9; it starts again in 0.2 s")
        lines_until(process, "ready all")
        assert len(pids(tmp_path, "two")) == 2


def test_told_to_end_it_ends_all_and_kills_who_does_not_hear(tmp_path: Path) -> None:
    with supervised(tmp_path, "one=deaf", "two=lives") as process:
        lines_until(process, "ready all")
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 0
        assert rest.splitlines() == ["one did not end in time and is killed"]
        assert all(gone(pid) for name in ("one", "two") for pid in pids(tmp_path, name))


def test_killed_it_leaves_no_child_behind(tmp_path: Path) -> None:
    with supervised(tmp_path, "one=lives", "two=deaf") as process:
        lines_until(process, "ready all")
        process.kill()
        assert all(gone(pid) for name in ("one", "two") for pid in pids(tmp_path, name))
