"""The two scripts a stranger's first command runs, on machines that lack what they look for.

They run with a PATH of this test's own making, so nothing is installed and nothing is found.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKE_VENV = ROOT / "tools" / "make_venv"
INSTALL_CHROMIUM = ROOT / "tests" / "install_chromium"


def run(script: Path, *arguments: str, path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    shell = shutil.which("sh")
    assert shell is not None
    return subprocess.run(
        [shell, str(script), *arguments], env={"PATH": str(path), **env},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def make_command(folder: Path, name: str, body: str) -> None:
    shell = shutil.which("sh")
    command = folder / name
    command.write_text(f"#!{shell}\n{body}\n")
    command.chmod(0o755)


def test_without_a_fitting_python_it_says_which_ones_fit(tmp_path: Path) -> None:
    make_command(tmp_path, "python3", "exit 1")
    done = run(MAKE_VENV, str(tmp_path / "venv"), path=tmp_path)
    assert done.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_without_venv_is_told_apart_from_none(tmp_path: Path) -> None:
    make_command(tmp_path, "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    done = run(MAKE_VENV, str(tmp_path / "venv"), path=tmp_path)
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr


def test_a_whole_python_is_preferred_to_an_incomplete_one(tmp_path: Path) -> None:
    make_command(tmp_path, "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    make_command(tmp_path, "python3.12", f'echo "$@" >> {tmp_path}/asked')
    done = run(MAKE_VENV, "here", path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text().splitlines()[-1] == "-m venv --clear here"


def test_an_environment_that_works_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    make_command(tmp_path / "venv" / "bin", "python", "exit 0")
    done = run(MAKE_VENV, str(tmp_path / "venv"), path=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(Path("/Applications/Google Chrome.app").exists(), reason="it is not missing")
@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_a_missing_browser_is_loud_and_fails_only_where_nobody_watches(
    tmp_path: Path, ci: str, code: int
) -> None:
    make_command(tmp_path, "id", "echo 1000")
    done = run(INSTALL_CHROMIUM, path=tmp_path, CI=ci)
    assert done.returncode == code
    assert "NO CHROMIUM" in done.stderr


def test_a_browser_that_is_there_is_not_installed_again(tmp_path: Path) -> None:
    make_command(tmp_path, "chromium", "exit 0")
    done = run(INSTALL_CHROMIUM, path=tmp_path, CI="true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
