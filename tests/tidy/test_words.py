"""What the files say: names that mean something, comments that are sentences, no strangers' paths.

It must never judge taste; it holds the few words that style bans outright.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tests.tidy.sources import ROOT, Source, assert_none, sources, written

EMPTY_WORDS = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
PROMISES = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
HOMES = re.compile(r"(?<![\w.])/(root|home/\w+|Users/\w+)/")
THIS_FILE = Path(__file__).resolve().relative_to(ROOT).as_posix()


def words(name: str) -> set[str]:
    """`TopicManager` and `topic_manager` both say topic and manager."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def definitions(source: Source) -> Iterator[tuple[int, str]]:
    """(line, name) of every class and function."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name


def tracked_text() -> Iterator[tuple[str, str]]:
    """(name, text) of every file that git holds and a person can read; vendored ones left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if "vendor" in PurePosixPath(name).parts or not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" not in data:
            yield name, data.decode()


def test_every_module_says_why_it_exists() -> None:
    assert_none(source.name for source in sources() if not ast.get_docstring(source.tree))


def test_no_file_or_folder_has_an_empty_name() -> None:
    parts = {(source.name, word) for source in sources() for word in words(source.name)}
    assert_none(name for name, word in sorted(parts) if word in EMPTY_WORDS)


def test_no_class_or_function_has_an_empty_name() -> None:
    assert_none(
        f"{source.at(line)} {name}"
        for source in written()
        for line, name in definitions(source)
        if words(name) & (EMPTY_WORDS - {"common"})
    )


def test_comments_promise_nothing() -> None:
    assert_none(
        f"{source.at(line)} {text}"
        for source in written()
        if source.name != THIS_FILE
        for line, text in source.comments()
        if PROMISES.search(text)
    )


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    here = [str(ROOT), str(Path.home())]
    places = [place for place in here if len(Path(place).parts) > 2]
    assert_none(
        name
        for name, text in tracked_text()
        if HOMES.search(text) or any(place in text for place in places)
    )


def test_lock_files_name_no_host() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(locks) == 5
    assert_none(path.name for path in locks if "://" in path.read_text())
