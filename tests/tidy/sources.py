"""The project's own files, as the tidy tests read them: each file is read and parsed once.

It must never look at what others wrote: vendored players, the environment, var/.
"""

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("millrace", "tests", "benchmarks", "tools")
# A generated file says so in its first lines, in one of these two words.
BANNERS = ("GENERATED", "Generated")
BANNER_LINES = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file: `name` is its path from the root, with slashes."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def generated(self) -> bool:
        return any(banner in line for line in self.lines[:BANNER_LINES] for banner in BANNERS)

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node

    def comments(self) -> Iterator[tuple[int, str]]:
        """(line, text) of every comment."""
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string

    def imports(self) -> Iterator[tuple[int, str]]:
        """(line, full name) of everything imported, anywhere in the file, but for types alone."""
        for node in set(ast.walk(self.tree)) - self.typing_only():
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)

    def typing_only(self) -> set[ast.AST]:
        """What is read by type checkers and never run."""
        return {
            inner
            for node in ast.walk(self.tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }

    def at(self, line: int) -> str:
        return f"{self.name}:{line}"


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the project, generated ones too."""
    paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return tuple(Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths)


def written() -> list[Source]:
    """The files that people write."""
    return [source for source in sources() if not source.generated]


def shipped() -> list[Source]:
    """The written files of the package itself."""
    return [source for source in written() if source.name.startswith("millrace/")]


def dotted(node: ast.expr) -> str:
    """`os.environ` for the expression that reads so; "" for what is not a chain of names."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            before = dotted(node.value)
            return f"{before}.{node.attr}" if before else ""
        case _:
            return ""


def assert_none(found: Iterable[str]) -> None:
    """Fails with every place on a line of its own, so that all can be mended at once."""
    places = sorted(found)
    assert not places, "\n" + "\n".join(places)
