"""Rendered pages are what their declarations say now, and no page points at what is not there."""

import re
import time
from pathlib import Path

import pytest

from docs.render import DOCS, PAGES, stale
from tests.architecture.sources import ROOT, name_of

WRITTEN = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "pipelines" / "providers").glob("*/README.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES)
def test_a_rendered_page_is_not_stale(page: str) -> None:
    assert page not in stale(), f"docs/{page} is not what its declarations say now: run `make docs`"


@pytest.mark.parametrize("page", PAGES)
def test_rendering_is_quick_and_gives_the_same_again(page: str) -> None:
    started = time.process_time()
    first = PAGES[page]()
    assert time.process_time() - started < 2
    assert PAGES[page]() == first


def test_a_page_that_is_missing_or_changed_by_hand_is_stale(tmp_path: Path) -> None:
    assert stale(tmp_path) == list(PAGES)
    for name, render in PAGES.items():
        (tmp_path / name).write_text(render(), "utf-8")
    assert stale(tmp_path) == []
    (tmp_path / "dictionary.md").write_text(PAGES["dictionary.md"]() + "\n", "utf-8")
    assert stale(tmp_path) == ["dictionary.md"]


def anchors(text: str) -> set[str]:
    """The addresses that GitHub gives to a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in LINK.findall(text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text("utf-8")), link
