"""Writes README's table of topologies from their declarations, so that it can't be wrong.

A topology's code and tests are found by its name, streams/NAME.py and tests/streams/test_NAME.py.
It must never describe anything that the declarations do not say.
"""

from collections.abc import Iterable
from pathlib import Path

from millrace.schemas.topics import Topic
from millrace.streams.declarations import Fold, Project, Topology, Work
from millrace.streams.topologies import TOPOLOGIES

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- topologies: `make docs` writes them -->", "<!-- end of topologies -->"
HEAD = ("| topology | reads | writes | file | test |", "|---|---|---|---|---|")


def read(step: Fold | Work | Project) -> tuple[Topic, ...]:
    match step:
        case Fold():
            return step.reads
        case Work():
            return step.lanes
        case Project():
            return (step.reads,)


def written(step: Fold | Work | Project) -> tuple[str, ...]:
    """Topics, and tables in italics."""
    if isinstance(step, Project):
        return (f"_{step.table.name}_",)
    return tuple(topic.name for topic in step.writes)


def listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def linked(path: Path) -> str:
    return f"[{path.name}]({path.relative_to(ROOT).as_posix()})"


def row(topology: Topology) -> str:
    """One line of the table."""
    cells = (
        topology.name,
        listed(topic.name for step in topology.steps for topic in read(step)),
        listed(name for step in topology.steps for name in written(step)),
        linked(ROOT / "millrace" / "streams" / f"{topology.name}.py"),
        linked(ROOT / "tests" / "streams" / f"test_{topology.name}.py"),
    )
    return f"| {' | '.join(cells)} |"


def table(topologies: Iterable[Topology]) -> str:
    return "\n".join((BEGIN, *HEAD, *(row(topology) for topology in topologies), END))


def with_table(readme: str) -> str:
    """The README with a fresh table between the two marks."""
    before, rest = readme.split(BEGIN)
    return before + table(TOPOLOGIES) + rest.split(END)[1]
