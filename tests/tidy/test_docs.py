"""The pages lead somewhere, and those that can be generated say what their source says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT, assert_none
from tools.docs import PAGES

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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_generated_page_is_fresh_and_says_that_it_is_generated(page: Path) -> None:
    text = page.read_text()
    assert text == PAGES[page](), f"{page.name} is stale: run `make docs`"
    assert "`make docs`" in text
