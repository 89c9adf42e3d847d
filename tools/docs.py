"""`make docs`: writes every page that can be generated. The tests compare each with its source.

It must never hold a sentence about the product: those stand where the thing itself is declared.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import click

from millrace.deploy import settings
from millrace.deploy.cli import main
from millrace.schemas.topics import TOPICS, Topic
from millrace.streams.describe import describe_mermaid, describe_text
from millrace.streams.topologies import TOPOLOGIES
from tools.topology_table import README, with_table

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
COLUMNS = 100


def banner(source: str) -> str:
    return f"<!-- Generated from {source} by `make docs`. Do not edit. -->"


def commands(command: click.Command, parent: click.Context | None = None) -> Iterator[str]:
    """The help of a command and of those below it, a chapter each."""
    name = command.name if parent else "millrace"
    context = click.Context(command, parent, info_name=name, terminal_width=COLUMNS)
    context.help_option_names = ["-h", "--help"]
    yield f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from commands(below, context)


def commands_page() -> str:
    return "\n".join((banner("millrace/deploy/cli/"), "# Commands\n", *commands(main)))


def topology_page() -> str:
    picture, text = describe_mermaid(TOPOLOGIES).strip(), describe_text(TOPOLOGIES).strip()
    return (
        f"{banner('millrace/streams/')}\n# Topologies\n\n"
        "`millrace describe` prints this, and with `--mermaid` the picture.\n\n"
        f"```mermaid\n{picture}\n```\n\n```\n{text}\n```\n"
    )


def topic_line(topic: Topic) -> str:
    events = ", ".join(event.__name__ for event in topic.events) or "bytes that are not ours"
    return f"| {topic.name} | {topic.cleanup} | {events} |"


def topics_page() -> str:
    head = ("# Topics\n", "| topic | cleanup | events |", "|---|---|---|")
    lines = (topic_line(topic) for topic in TOPICS)
    return "\n".join((banner("millrace/schemas/topics.py"), *head, *lines, ""))


def readme() -> str:
    return with_table(README.read_text())


PAGES: dict[Path, Callable[[], str]] = {
    README: readme,
    DOCS / "commands.md": commands_page,
    DOCS / "settings.md": settings.table,
    DOCS / "topics.md": topics_page,
    DOCS / "topology.md": topology_page,
}


if __name__ == "__main__":
    for path, text in PAGES.items():
        path.write_text(text())
