"""The pages about switching from another tool: each has the same parts, and a config that can be used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audience_sync.project.opening import load_settings

PAGES = sorted((Path(__file__).parents[2] / "docs" / "switching").glob("*.md"))
PARTS = ["ours", "Your config", "What differs", "How to switch", "What you lose"]
#: What the examples read from the environment.
VARIABLES = {
    "WAREHOUSE_URL": "postgresql://reader@127.0.0.1/warehouse",
    "SEGMENT_WRITE_KEY": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "BRAZE_API_KEY": "00000000-0000-4000-8000-000000000000",
    "HUBSPOT_TOKEN": "pat-eu1-00000000-0000-4000-8000-000000000000",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_the_same_parts_as_the_others(page: Path) -> None:
    headings = re.findall(r"^## (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    assert len(headings) == len(PARTS)
    assert [part for part, heading in zip(PARTS, headings, strict=True) if not heading.endswith(part)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_config_of_a_page_can_be_used(page: Path, tmp_path: Path) -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```$", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        (tmp_path / "config.yaml").write_text(example, "utf-8")
        settings = load_settings(tmp_path / "config.yaml")
        assert settings.audiences
        assert settings.destinations
