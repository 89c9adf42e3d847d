"""What is declared is what is imported, and what is pinned is what is declared."""

import sys
import tomllib
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.tidy.sources import ROOT, Source, assert_none, shipped, sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN = {"millrace", "tests", "benchmarks", "tools"}
# Run as commands, or loaded by what is imported, never imported by us.
COMMANDS = {
    "boto3-stubs", "build", "check-jsonschema", "cramjam", "hatchling", "import-linter",
    "lxml-stubs", "mypy", "pytest-asyncio", "pytest-timeout", "pytest-xdist", "ruff",
    "types-psutil", "types-pyyaml",
}  # fmt: skip


def declared(lines: list[object]) -> dict[str, Requirement]:
    wanted = [Requirement(line) for line in lines if isinstance(line, str)]
    return {canonicalize_name(requirement.name): requirement for requirement in wanted}


def pinned(name: str) -> dict[str, Version]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    pins = [line.split()[0].split("==") for line in lines if "==" in line.split(";")[0]]
    return {canonicalize_name(package): Version(version) for package, version in pins}


def third_party(files: list[Source]) -> dict[str, str]:
    """Distribution -> one place that imports it."""
    providers = packages_distributions()
    found: dict[str, str] = {}
    for source in files:
        for line, name in source.imports():
            top = name.split(".")[0]
            if top not in OWN and top not in sys.stdlib_module_names:
                found[canonicalize_name(providers.get(top, [top])[0])] = source.at(line)
    return found


ONE_MACHINE = declared(PROJECT["project"]["dependencies"])
RUNTIME = ONE_MACHINE | declared(PROJECT["project"]["optional-dependencies"]["cluster"])
BUILD = declared(PROJECT["dependency-groups"]["build"])
DEV = BUILD | declared(PROJECT["dependency-groups"]["dev"])


def test_the_package_imports_exactly_what_it_declares() -> None:
    assert_none(third_party(shipped()).keys() ^ (RUNTIME.keys() - COMMANDS))


def test_tests_and_benchmarks_import_exactly_what_they_declare() -> None:
    imported = third_party([source for source in sources() if source not in shipped()])
    assert_none((imported.keys() | COMMANDS) - RUNTIME.keys() ^ DEV.keys())


def test_every_pin_is_within_what_is_declared() -> None:
    files = {"runtime": ONE_MACHINE, "cluster": RUNTIME, "dev": RUNTIME | DEV, "build": BUILD}
    for name, wanted in files.items():
        pins = pinned(name)
        assert_none(
            package
            for package, requirement in wanted.items()
            if package not in pins or pins[package] not in requirement.specifier
        )


def test_the_lock_files_agree_on_every_version() -> None:
    dev = pinned("dev")
    for pins in (pinned("runtime"), pinned("cluster"), pinned("build")):
        assert {name: dev.get(name) for name in pins} == pins
