"""Every example of a config in the documents is valid, as far as it goes."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = re.compile(r"^( *)```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
#: What an example may leave out, being about something else.
REST = {
    "sources": {"shop": {"files": "shop"}},
    "audiences": [{"name": "VIP", "source": "shop", "file": "vip.csv"}],
    "destinations": {"log": {"type": "file", "path": "calls.jsonl"}},
}


@cache
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "config.schema.json").read_text("utf-8"))
    return found


def configs(page: Path) -> list[dict[str, Any]]:
    """The examples of a page that are parts of a config: all their top-level names are the config's."""
    texts = [
        re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, text in EXAMPLE.findall(page.read_text("utf-8"))
    ]
    parsed = [yaml.safe_load(text) for text in texts]
    return [each for each in parsed if isinstance(each, dict) and set(each) <= set(schema()["properties"])]


PAGES = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if "decisions" not in page.parts and "```yaml" in page.read_text("utf-8")
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_configs_of_a_page_are_valid(page: Path) -> None:
    found = [
        f"{error.json_path}: {error.message}"
        for config in configs(page)
        for error in Draft202012Validator(schema()).iter_errors({**REST, **config})
    ]
    assert found == []


def test_most_examples_are_configs() -> None:
    assert sum(len(configs(page)) for page in PAGES) > 70
