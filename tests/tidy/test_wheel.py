"""The wheel is whole: built, installed beside nothing but its pinned requirements, and run.

It must never see this checkout or its environment: the fresh environment holds the wheel and
links to exactly the packages that requirements/runtime.txt names.
"""

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.tidy.sources import ROOT

pytestmark = pytest.mark.slow

# What a package may hold besides Python: everything that lies in it, whatever git ignores.
IGNORED_PARTS = {"__pycache__"}


def run(*command: str | Path, where: Path) -> subprocess.CompletedProcess[str]:
    """Runs it as a stranger's shell would, with no variable that leads back to this checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        command, cwd=where, env=kept, capture_output=True, text=True, check=False, timeout=120
    )


def runtime_packages() -> Iterator[str]:
    """The names in requirements/runtime.txt that this Python on this system installs."""
    for line in (ROOT / "requirements" / "runtime.txt").read_text().splitlines():
        if line[:1].isalnum():
            pin = Requirement(line.rstrip(" \\"))
            if pin.marker is None or pin.marker.evaluate():
                yield pin.name


def link_packages(target: Path) -> None:
    """Links every file or folder at the top of each runtime package into `target`."""
    for name in runtime_packages():
        installed = distribution(name)
        home = Path(str(installed.locate_file("")))
        tops = {file.parts[0] for file in installed.files or [] if file.parts[0] != ".."}
        for top in tops - IGNORED_PARTS:
            (target / top).symlink_to(home / top)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = run(*build, str(ROOT), where=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("millrace-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin/ of a fresh environment with the wheel in it."""
    fresh = tmp_path_factory.mktemp("fresh")
    venv.create(fresh, with_pip=False, symlinks=True)
    python = fresh / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    done = run(*pip, "--no-deps", "--no-index", str(wheel), where=fresh)
    assert done.returncode == 0, done.stderr
    (packages,) = (fresh / "lib").glob("python3*/site-packages")
    link_packages(packages)
    return fresh / "bin"


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    package = ROOT / "millrace"
    here = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and not IGNORED_PARTS.intersection(path.parts)
    }
    there = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("millrace/")}
    assert there == here
    assert {Path(name).suffix for name in there} >= {".py", ".avsc", ".html", ".js", ".css"}


def test_the_wheel_holds_nothing_else_but_its_licences(wheel: Path) -> None:
    names = [name for name in zipfile.ZipFile(wheel).namelist() if "millrace/" not in name]
    assert {name.partition(".dist-info/")[2] for name in names} == {
        "METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE",
    }  # fmt: skip


def test_the_command_runs_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "millrace", "--help", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


def test_the_topologies_load_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "millrace", "describe", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "renditions" in done.stdout


def test_the_package_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = "import millrace, sys; print(millrace.__file__)"
    done = run(installed / "python", "-c", where, where=tmp_path)
    assert done.stdout.startswith(str(installed.parent)), done.stdout + done.stderr
