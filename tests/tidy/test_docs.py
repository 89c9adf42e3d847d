"""The pages lead somewhere: links resolve, and README's table says what the declarations say."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.sources import ROOT, assert_none
from tools.topology_table import README, with_table

LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def pages() -> Iterator[Path]:
    yield from sorted(ROOT.glob("*.md"))
    yield from sorted((ROOT / "docs").rglob("*.md"))


def test_every_link_leads_to_a_file() -> None:
    assert_none(
        f"{page.relative_to(ROOT)} -> {link}"
        for page in pages()
        for link in LINK.findall(page.read_text())
        if not (page.parent / link).exists()
    )


def test_the_table_of_topologies_is_what_they_declare() -> None:
    readme = README.read_text()
    assert with_table(readme) == readme, "README.md is stale: run `make docs`"
