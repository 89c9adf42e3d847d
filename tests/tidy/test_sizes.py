"""Small pieces: style's numbers, which ruff does not know. It must never judge generated files."""

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.sources import ROOT, Function, Source, assert_none, written

LINES_A_FILE_MAX = 400
LINES_A_FUNCTION_MAX = 50
COLUMNS_MAX = 100
NESTING_MAX = 3

WEB = ROOT / "millrace" / "gateway" / "web"
# What decides or repeats. A `with` does neither: it only says how long something is held.
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match)


def function_lines(function: Function) -> int:
    """Lines from `def` to the end, less the docstring: words are no reason to split a function."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def children(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """(child, deeper): an `elif` is no deeper than its `if`, and a nested function starts anew."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef | ast.Lambda):
            continue
        elif_ = isinstance(node, ast.If) and node.orelse == [child] and isinstance(child, ast.If)
        yield child, isinstance(child, BLOCKS) and not elif_


def nesting(node: ast.AST) -> int:
    """How many blocks lie in one another at the deepest place."""
    return max((deeper + nesting(child) for child, deeper in children(node)), default=0)


def too_long_functions(source: Source) -> list[str]:
    return [
        f"{source.at(function.lineno)} {function.name} has {function_lines(function)} lines"
        for function in source.functions()
        if function_lines(function) > LINES_A_FUNCTION_MAX
    ]


def too_deep_functions(source: Source) -> list[str]:
    return [
        f"{source.at(function.lineno)} {function.name} nests {nesting(function)} blocks"
        for function in source.functions()
        if nesting(function) > NESTING_MAX
    ]


def pages() -> list[tuple[str, list[str]]]:
    """The web pages' own files, vendored ones left out."""
    paths = [path for ending in ("js", "css", "html") for path in WEB.rglob(f"*.{ending}")]
    own = sorted(path for path in paths if "vendor" not in path.relative_to(WEB).parts)
    return [(path.relative_to(ROOT).as_posix(), path.read_text().splitlines()) for path in own]


def test_no_file_is_longer_than_one_idea() -> None:
    files = [(source.name, source.lines) for source in written()] + pages()
    assert_none(f"{name}: {len(lines)}" for name, lines in files if len(lines) > LINES_A_FILE_MAX)


def test_no_line_of_a_page_is_wider_than_ruff_allows_in_python() -> None:
    assert_none(
        f"{name}:{number}"
        for name, lines in pages()
        for number, line in enumerate(lines, 1)
        if len(line) > COLUMNS_MAX
    )


def test_no_function_is_longer_than_a_screen() -> None:
    assert_none(place for source in written() for place in too_long_functions(source))


def test_no_function_nests_deeper_than_three_blocks() -> None:
    assert_none(place for source in written() for place in too_deep_functions(source))


@pytest.mark.parametrize(
    ("code", "depth"),
    [
        ("def f():\n  pass", 0),
        ("def f():\n  if a:\n    pass\n  elif b:\n    pass\n  elif c:\n    pass", 1),
        ("def f():\n  for a in b:\n    with c:\n      if d:\n        pass", 2),
        ("def f():\n  if a:\n    pass\n  else:\n    if b:\n      pass\n    d()", 2),
        ("async def f():\n  while a:\n    def g():\n      if b:\n        pass", 1),
    ],
)
def test_nesting_counts_blocks_within_one_function(code: str, depth: int) -> None:
    (outer, *_) = Source("f.py", code).functions()
    assert nesting(outer) == depth
