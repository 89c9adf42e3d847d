"""Servers as processes: nothing is signalled but what was started here, and that does end."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from millrace.deploy.stack import processes
from millrace.deploy.stack.processes import Recorded
from tests.e2e.servers import wait_for

SLEEPER = ["sleep", "600"]
# Each says when it hears SIGTERM its own way.
ORDERLY = ["sh", "-c", 'trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done']
STUBBORN = ["sh", "-c", 'trap "" TERM; echo deaf; while :; do sleep 0.1; done']


@pytest.fixture
def stranger() -> Iterator[Recorded]:
    """A process that no stack started."""
    with subprocess.Popen(SLEEPER) as process:
        born = processes.birth(process.pid)
        assert born is not None
        yield Recorded(process.pid, born)
        process.kill()


def test_a_process_is_found_again_and_stops_when_asked(tmp_path: Path) -> None:
    started = processes.start(SLEEPER, tmp_path)
    assert processes.running(tmp_path) == started
    assert processes.stop(started, 10)
    assert processes.running(tmp_path) is None


def test_what_it_prints_is_added_to_its_log(tmp_path: Path) -> None:
    for word in ("one", "two"):
        started = processes.start(["sh", "-c", f"echo {word}; echo {word} >&2"], tmp_path)
        assert processes.ended(started, 10)
    assert (tmp_path / "log").read_text().split() == ["one", "one", "two", "two"]


def test_a_stranger_who_has_the_recorded_pid_now_is_never_signalled(
    tmp_path: Path, stranger: Recorded
) -> None:
    earlier = Recorded(stranger.pid, "another boot 1")
    (tmp_path / "pid").write_text(json.dumps({"pid": earlier.pid, "born": earlier.born}))
    assert processes.running(tmp_path) is None
    assert processes.stop(earlier, 0.1)
    processes.kill(earlier)
    assert stranger.alive


def test_a_process_that_will_not_end_is_killed(tmp_path: Path) -> None:
    started = processes.start(STUBBORN, tmp_path)
    wait_for((tmp_path / "log").read_text, 10, "it is deaf to SIGTERM")
    assert not processes.stop(started, 0.2)
    assert not started.alive


def test_a_process_that_was_paused_still_ends_in_its_own_way(tmp_path: Path) -> None:
    started = processes.start(ORDERLY, tmp_path)
    wait_for((tmp_path / "log").read_text, 10, "it is ready to be stopped")
    processes.send(started, signal.SIGSTOP)
    assert processes.stop(started, 10)


def test_a_process_that_nobody_reaped_counts_as_ended() -> None:
    with subprocess.Popen(["true"]) as process:
        wait_for(lambda: processes.birth(process.pid) is None, 10, "it is a zombie")
        assert process.returncode is None
