"""A server that can't start says why, in a line, and leaves nothing running."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest


def up(data_dir: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "millrace.deploy.cli", "up", "--port", "0"]
    return subprocess.run(
        [*command, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_fails_after_the_engine_began_is_said_and_not_what_follows_from_it(
    tmp_path: Path,
) -> None:
    blobs = tmp_path / "objects" / "blobs"
    (blobs / "ff").mkdir(parents=True)
    (blobs / "00").write_text("no folder")
    ended = up(tmp_path)
    assert ended.returncode == 1, ended.stderr
    assert "it can't start" in ended.stderr
    assert "Not a directory" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_a_database_that_another_process_holds_is_a_line_and_no_trace(tmp_path: Path) -> None:
    # Takes the ten seconds that a store waits for another process's transaction.
    with closing(sqlite3.connect(tmp_path / "tables.sqlite", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        ended = up(tmp_path)
    assert ended.returncode == 1, ended.stderr
    assert "it can't start" in ended.stderr
    assert "Traceback" not in ended.stderr
