"""Every link of a document leads to a file of the repository, and to a heading where it names one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def links(document: Path) -> Iterator[str]:
    """The links without those to other sites."""
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if not re.match("[a-z]+:", link):
            yield link


@cache
def anchors(document: Path) -> frozenset[str]:
    """The anchors that GitHub makes of the headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return frozenset(anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE))


def anchor(heading: str) -> str:
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def is_dead(document: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    return not target.exists() or (bool(heading) and target.suffix == ".md" and heading not in anchors(target))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_a_document_has_no_dead_link(document: Path) -> None:
    assert [link for link in links(document) if is_dead(document, link)] == []


def test_a_heading_that_is_gone_is_a_dead_link() -> None:
    operations = ROOT / "docs" / "operations.md"
    assert not is_dead(ROOT / "docs" / "security.md", "operations.md#metrics")
    assert is_dead(ROOT / "docs" / "security.md", "operations.md#numbers")
    assert is_dead(operations, "#no-such-heading")
    assert is_dead(operations, "no_such_page.md")
