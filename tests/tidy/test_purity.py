"""Who may touch the outside world. Import contracts say who imports whom; this says the rest.

It must never be a second list of what ruff bans: for processors it only checks that the ban bites.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.tidy.sources import ROOT, Source, assert_none, dotted, shipped, written

ENVIRONMENT = ("os.environ", "os.environb", "os.getenv", "os.putenv", "os.unsetenv")
BROAD = ("Exception", "BaseException")
# Modules through which a pure function would reach a file, a process or a network.
OUTSIDE = {
    "aiohttp", "ctypes", "http", "io", "multiprocessing", "os", "pathlib", "requests", "select",
    "shutil", "signal", "ssl", "subprocess", "tempfile", "threading", "urllib3",
}  # fmt: skip
PURE_NAMES_OF_OUTSIDE = {"pathlib.PurePath", "pathlib.PurePosixPath"}
# Here the time itself is what is measured, or what must not have happened within it.
MEASURES_A_TIME = {
    "test_a_pool_that_waits_uses_no_cpu",
    "test_a_work_goes_on_only_when_its_result_is_durable",
    "test_the_clock_of_a_work_stops_while_it_waits_for_its_acknowledgement",
}
SLEEPS = ("time.sleep", "asyncio.sleep")
# `suppress` checks too, as `except` does: this failure is allowed, any other is raised.
CHECKS = (
    "assert", "call_and_validate", "check", "expect", "fail", "raises", "suppress", "timeout",
    "verify", "wait_for", "warns",
)  # fmt: skip


def expressions(source: Source) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every chain of names that is read."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            yield node.lineno, dotted(node)


def says_nothing(statement: ast.stmt) -> bool:
    """Passing, going on, returning nothing, and a log line: the caller learns nothing of it."""
    match statement:
        case ast.Pass() | ast.Continue() | ast.Break():
            return True
        case ast.Return(value=value):
            return value is None or (isinstance(value, ast.Constant) and value.value is None)
        case ast.Expr(value=ast.Call(func=called)):
            return dotted(called).partition(".")[0] in ("logger", "logging", "log")
        case _:
            return False


def swallows(handler: ast.ExceptHandler) -> bool:
    """A handler of everything that turns a failure into silence or a log line."""
    broad = handler.type is None or dotted(handler.type) in BROAD
    return broad and all(says_nothing(statement) for statement in handler.body)


def handlers(source: Source) -> Iterator[ast.ExceptHandler]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.ExceptHandler))


def checks_something(test: ast.AST) -> bool:
    for node in ast.walk(test):
        if isinstance(node, ast.Assert | ast.ExceptHandler):
            return True
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called.lstrip("_").startswith(CHECKS):
                return True
    return False


def sleeps(node: ast.AST) -> Iterator[int]:
    """Lines that sleep outside a loop: a wait for a time, where a loop waits for a condition."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.While | ast.For | ast.AsyncFor):
            continue
        match child:
            case ast.Call(args=[length]) if dotted(child.func) in SLEEPS:
                if ast.unparse(length) != "0":
                    yield child.lineno
        yield from sleeps(child)


def acts_at_import(statement: ast.stmt) -> bool:
    """A bare call at a module's top level does something the moment the module is imported."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)


def test_only_settings_reads_the_environment() -> None:
    assert_none(
        f"{source.at(line)} {name}"
        for source in shipped()
        if source.name != "millrace/deploy/settings.py"
        for line, name in [*expressions(source), *source.imports()]
        if name in ENVIRONMENT
    )


def test_processors_reach_nothing_outside() -> None:
    assert_none(
        f"{source.at(line)} {name}"
        for source in shipped()
        if source.name.startswith("millrace/processors/") and "/media/" not in source.name
        for line, name in [*source.imports(), *expressions(source)]
        if name == "open" or (name.split(".")[0] in OUTSIDE and name not in PURE_NAMES_OF_OUTSIDE)
    )


@pytest.mark.parametrize("line", ["import time", "import random", "from uuid import uuid4"])
@pytest.mark.parametrize(
    ("path", "banned"),
    [
        ("millrace/processors/probe.py", True),
        ("millrace/processors/media/probe.py", True),
        ("millrace/streams/probe.py", False),
    ],
)
def test_ruff_bans_clock_and_randomness_in_processors_alone(
    line: str, path: str, banned: bool
) -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise"]
    done = subprocess.run(
        [*ruff, "--stdin-filename", path, "-"], input=f'"""A probe."""\n\n{line}\n',
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ("TID251" in done.stdout) is banned, done.stdout


def test_importing_the_package_does_nothing() -> None:
    assert_none(
        source.at(statement.lineno)
        for source in shipped()
        if not source.name.endswith("/__main__.py")
        for statement in source.tree.body
        if acts_at_import(statement)
    )


def test_no_handler_of_everything_swallows_what_it_caught() -> None:
    assert_none(
        source.at(handler.lineno)
        for source in written()
        for handler in handlers(source)
        if swallows(handler)
    )


@pytest.mark.parametrize(
    ("body", "silent"),
    [
        ("pass", True),
        ("logger.exception('oh')", True),
        ("logger.warning('oh')\n  return None", True),
        ("logger.exception('oh')\n  raise", False),
        ("found = Problem(error)", False),
    ],
)
def test_a_handler_that_only_logs_swallows(body: str, silent: bool) -> None:
    source = Source("f.py", f"try:\n  f()\nexcept Exception as error:\n  {body}")
    assert [swallows(handler) for handler in handlers(source)] == [silent]


def test_every_test_checks_something() -> None:
    assert_none(
        f"{source.at(function.lineno)} {function.name}"
        for source in written()
        if source.name.startswith("tests/")
        for function in source.functions()
        if function.name.startswith("test_") and not checks_something(function)
    )


def test_tests_patch_nothing_of_ours() -> None:
    assert_none(
        f"{source.at(line)} {name}"
        for source in written()
        if source.name.startswith("tests/")
        for line, name in source.imports()
        if name.startswith(("unittest.mock", "mock."))
    )


def test_no_test_sleeps_instead_of_waiting_for_something() -> None:
    assert_none(
        source.at(line)
        for source in written()
        if source.name.startswith("tests/")
        for function in source.functions()
        if function.name.startswith("test_") and function.name not in MEASURES_A_TIME
        for line in sleeps(function)
    )
