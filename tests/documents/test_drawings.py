"""Drawings of the documents are for everyone: in light and dark, with a description, and none is left over."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[2] / "docs"
DRAWINGS = sorted((DOCS / "diagrams").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.stem)
def test_a_drawing_is_used_and_described(drawing: Path) -> None:
    texts = "\n".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    described = re.findall(rf"!\[([^\]]+)\]\([./]*diagrams/{drawing.name}\)", texts)
    assert described
    assert all(len(alternative.split()) > 10 for alternative in described)
    root = ElementTree.parse(drawing).getroot()
    assert root.get("role") == "img"
    assert (root.findtext(f"{SVG}title") or "").strip()
    assert (root.findtext(f"{SVG}desc") or "").strip()


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.stem)
def test_a_drawing_has_light_and_dark_colours_and_loads_nothing(drawing: Path) -> None:
    text = drawing.read_text("utf-8")
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"""(?:href|src)=|url\(""", text) == []


def test_no_page_draws_by_a_script() -> None:
    assert [page.name for page in DOCS.rglob("*.md") if "```mermaid" in page.read_text("utf-8")] == []
