"""Grafana and Prometheus accept docs/operations/grafana.json and alerts.yaml, which use metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from .conftest import Project

FOLDER = Path(__file__).parents[2] / "docs" / "operations"
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
QUERIES = [
    *(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]),
    *(r["expr"] for r in RULES),
]


def loaded(dashboard: dict[str, Any]) -> Any:
    """As Grafana's own types keep it: what they don't know is gone."""
    register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))


def lost(given: Any, kept: Any, at: str = "") -> list[str]:
    """Where something is missing or another."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [place for key in given for place in lost(given[key], kept.get(key), f"{at}/{key}")]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [
            place
            for number, pair in enumerate(zip(given, kept, strict=True))
            for place in lost(*pair, f"{at}/{number}")
        ]
    return [] if given == kept else [at]


def test_grafana_knows_every_part_of_the_dashboard() -> None:
    assert lost(DASHBOARD, loaded(DASHBOARD)) == []
    wrong = json.loads(json.dumps(DASHBOARD))
    wrong["panels"][0]["gridpos"] = wrong["panels"][0].pop("gridPos")
    assert lost(wrong, loaded(wrong)) == ["/panels/0/gridpos"]


def test_its_panels_have_different_ids_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("query", QUERIES)
def test_prometheus_takes_the_query(query: str) -> None:
    promql_parser.parse(query)
    with pytest.raises(ValueError, match=r"parse|unexpected|unclosed"):
        promql_parser.parse(f"sum({query}")


def test_they_ask_for_numbers_that_there_are(vip: Project) -> None:
    file = vip.folder / "audience_sync.prom"
    audience = {"name": "VIP", "source": "shop", "file": "vip.csv"}
    vip.configure(audiences=[audience], metrics={"file": str(file)})
    vip.sync()
    there = set(re.findall(r"^# TYPE (audience_sync_\w+)", file.read_text("utf-8"), re.MULTILINE))
    for query in QUERIES:
        wanted = set(re.findall(r"audience_sync_\w+", query))
        assert wanted, query
        assert wanted <= there, query


def test_the_rules_lead_to_what_the_page_says() -> None:
    page = (FOLDER.parent / "operations.md").read_text("utf-8")
    for kind in ("failed", "held", "refused", "size", "late"):  # as $labels.kind says it
        assert f"\n### {kind}\n" in page
