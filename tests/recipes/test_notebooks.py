"""The code of docs/recipes.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from store import example_week

from audience_sync.store.connection.engine import Store

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text("utf-8")


def code_of(heading: str) -> str:
    """The Python code of a section."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return str(code)


@pytest.fixture
def week(store: Store) -> Store:
    example_week.fill(store)
    return store


def test_pandas_reads_runs_members_and_traits_from_both_databases(week: Store) -> None:
    url = week.url.render_as_string(hide_password=False)
    code = code_of("pandas").replace("sqlite:///audience_sync.db", url)
    names: dict[str, Any] = {}
    exec(code, names)
    runs, members, traits = names["runs"], names["members"], names["traits"]
    names["store"].dispose()
    assert runs["started_at"][43].isoformat() == "2026-03-06T06:00:00+00:00"
    assert str(runs["finished_at"].dt.tz) == "UTC"
    assert (runs["entered"][39], runs["left"][42]) == (7, 2)
    assert len(members) == 8
    assert traits["plan"].to_dict() == dict.fromkeys(["ben", "fay", "gus", "hal"], "silver") | dict.fromkeys(
        ["ada", "cleo", "eve"], "gold"
    )
    spenders = traits.loc[members.query("audience_key == 'big_spenders'").user_id]
    assert sorted(spenders.index) == ["ada", "cleo", "eve", "fay", "gus"]
