"""What the stack says on a machine that lacks something. Nothing is installed by these tests."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from millrace.deploy.stack.prerequisites import Incomplete, look

ROOT = Path(__file__).resolve().parents[2]
ALL = ("java", "mvn", "go", "redis-server")


def make_program(folder: Path, name: str, answer: str) -> str:
    program = folder / name
    program.write_text(f"#!{shutil.which('sh')}\necho '{answer}'\n")
    program.chmod(0o755)
    return str(program)


def test_everything_that_is_missing_is_named_at_once_with_what_installs_it(tmp_path: Path) -> None:
    with pytest.raises(Incomplete) as missing:
        look(str(tmp_path)).require(ALL)
    lines = str(missing.value).splitlines()[1:]
    assert len(lines) == len(ALL)
    assert all(" install " in line for line in lines)


def test_only_what_is_needed_has_to_be_there(tmp_path: Path) -> None:
    program = make_program(tmp_path, "redis-server", "")
    tools = look(str(tmp_path))
    tools.require(["redis-server"])
    assert tools["redis-server"] == program


@pytest.mark.parametrize(
    ("name", "answer", "fits"),
    [
        ("java", 'openjdk version "17.0.15" 2025-04-15', True),
        ("java", 'openjdk version "17" 2021-09-14', True),
        ("java", 'openjdk version "11.0.2" 2019-01-15', False),
        ("java", 'openjdk version "21.0.1" 2023-10-17', False),
        ("go", "go version go1.26.8 linux/amd64", True),
        ("go", "go version go1.19.8 linux/amd64", False),
    ],
)
def test_a_program_of_an_unfit_version_counts_as_missing(
    tmp_path: Path, name: str, answer: str, fits: bool
) -> None:
    make_program(tmp_path, name, answer)
    assert (name in look(str(tmp_path))) is fits


def test_up_on_a_bare_machine_says_what_is_missing_and_makes_nothing(tmp_path: Path) -> None:
    folder, cache = tmp_path / "stack", tmp_path / "cache"
    done = subprocess.run(
        [
            sys.executable, "-m", "millrace.deploy.stack", "up",
            "--folder", str(folder), "--cache", str(cache),
        ],
        cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Maven: " in done.stderr
    assert "Redis: " in done.stderr
    assert not folder.exists()
    assert not cache.exists()
