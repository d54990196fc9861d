"""The page on the architecture lists every folder of the package, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "audience_sync"
PAGE = ROOT / "docs" / "architecture.md"


def listed() -> set[Path]:
    """The folders of the page's tree, whose levels are indented by two spaces."""
    tree = PAGE.read_text("utf-8").split("```")[1]
    folders, above = set[Path](), list[Path]()
    for indent, name in re.findall(r"^( *)(\w+)/", tree, re.MULTILINE):
        level = len(indent) // 2
        above = [*above[:level], above[level - 1] / name if level else ROOT / name]
        folders.add(above[-1])
    return folders


def test_the_tree_has_every_folder_with_modules_and_no_other() -> None:
    assert listed() == {PACKAGE, *(file.parent for file in PACKAGE.rglob("*.py"))}


def test_each_folder_has_a_line_that_says_what_it_does() -> None:
    tree = PAGE.read_text("utf-8").split("```")[1].strip().splitlines()[1:]
    assert [line for line in tree if not re.fullmatch(r" +\w+/ +[A-Z].+\.", line)] == []


def test_each_folder_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(\w+(?:/\w+)*)/`", PAGE.read_text("utf-8")))
    assert {name for name in named if not ((PACKAGE / name).is_dir() or (ROOT / name).is_dir())} == set()
