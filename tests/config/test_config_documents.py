"""The committed documents are what is generated, and their examples work."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from audience_sync.destinations.registry import destination_types

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "configuration.md").read_text("utf-8")
SCHEMA: dict[str, Any] = json.loads((DOCS / "config.schema.json").read_text("utf-8"))
#: The parts of configs on all pages. Other tools have YAML files, too.
EXAMPLES = [
    pytest.param(part, id=f"{page.relative_to(DOCS.parent)}-{number}")
    for page in (DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md")))
    for number, part in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL), start=1)
    if isinstance(found := yaml.safe_load(part), dict) and found.keys() <= SCHEMA["properties"].keys()
]
#: What an example may leave out, being about something else.
REST = {"audiences": [{"name": "VIP", "source": "shop", "file": "vip.csv"}]}


@pytest.fixture(scope="module")
def generated() -> Mapping[str, str]:
    """The documents as they would be made now."""
    if not destination_types():
        pytest.skip("the package is not installed: its destinations are found by their entry points")
    documents: Mapping[str, str] = runpy.run_path(str(DOCS / "generate.py"))["generated"]()
    return documents


def test_the_committed_documents_are_what_is_generated(generated: Mapping[str, str]) -> None:
    assert {"config.schema.json", "configuration.md", "recipes/metadata.yaml", "commands/sync.md"} <= set(generated)
    outdated = [name for name, text in generated.items() if (DOCS / name).read_text("utf-8") != text]
    assert outdated == [], "run: python docs/generate.py"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_config_in_the_documents_is_valid_for_editors(example: str) -> None:
    errors = Draft202012Validator(SCHEMA).iter_errors({**REST, **yaml.safe_load(example)})
    assert [error.message for error in errors] == []


def test_no_placeholder_is_left_in_the_reference() -> None:
    assert "<!-- table" not in REFERENCE
    assert "<!-- destinations" not in REFERENCE
