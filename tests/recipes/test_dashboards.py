"""The dashboards for Grafana and Metabase: what the tools accept, with queries that answer on a store on PostgreSQL."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.test_dashboard import loaded, lost
from sqlalchemy import text
from store import example_week

from audience_sync.store.connection.engine import Store

FOLDER = Path(__file__).parents[2] / "docs" / "recipes"
GRAFANA = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
METABASE = {
    file.relative_to(FOLDER): yaml.safe_load(file.read_text("utf-8"))
    for file in sorted((FOLDER / "metabase").rglob("*.yaml"))
}
CARDS = [each for each in METABASE.values() if each["serdes/meta"][-1]["model"] == "Card"]
[DASHBOARD] = [each for each in METABASE.values() if each["serdes/meta"][-1]["model"] == "Dashboard"]


@pytest.fixture
def week(new_store: Any) -> Store:
    """The example week on PostgreSQL."""
    store: Store = new_store("postgresql", with_schema=True)
    example_week.fill(store)
    return store


def rows(store: Store, query: str) -> list[dict[str, Any]]:
    with store.reading() as connection:
        return [dict(row._mapping) for row in connection.execute(text(query))]


def as_grafana_sends(query: str) -> str:
    """The query with the time range of the week, and the trait that is chosen, in place of Grafana's words."""
    for column in ("r.started_at", "started_at"):
        during = f"{column} between '2026-03-01T00:00:00Z' and '2026-03-08T00:00:00Z'"
        query = query.replace(f"$__timeFilter({column})", during)
    return query.replace("$trait", "plan")


def test_grafana_knows_every_part_of_the_dashboard() -> None:
    assert lost(GRAFANA, loaded(GRAFANA)) == []


def test_its_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in GRAFANA["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("panel", GRAFANA["panels"], ids=lambda panel: panel["title"])
def test_a_panel_of_grafana_has_rows(week: Store, panel: dict[str, Any]) -> None:
    [target] = panel["targets"]
    found = rows(week, as_grafana_sends(target["rawSql"]))
    needs_more = {"Refused calls by reason": "destination", "Destinations": "name"}.get(panel["title"])
    assert found
    assert needs_more is None or needs_more in found[0]
    if target["format"] == "time_series":
        assert found[0]["time"] is not None


def test_the_variable_of_grafana_lists_the_computed_traits(week: Store) -> None:
    [variable] = [each for each in GRAFANA["templating"]["list"] if each["type"] == "query"]
    assert rows(week, variable["query"]) == [{"key": "plan"}]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card["name"])
def test_a_question_of_metabase_has_rows_and_the_columns_of_its_chart(week: Store, card: dict[str, Any]) -> None:
    [stage] = card["dataset_query"]["stages"]
    query = stage["native"].replace("now() - interval '90 days'", "timestamptz '2026-03-01'")
    found = rows(week, query)
    assert found
    settings = card["visualization_settings"]
    assert {*settings.get("graph.dimensions", ()), *settings.get("graph.metrics", ())} <= found[0].keys()


def test_the_dashboard_of_metabase_shows_every_question_once_and_none_over_another() -> None:
    assert sorted(each["card_id"] for each in DASHBOARD["dashcards"]) == sorted(each["entity_id"] for each in CARDS)
    cells = [
        (x, y)
        for each in DASHBOARD["dashcards"]
        for x in range(each["col"], each["col"] + each["size_x"])
        for y in range(each["row"], each["row"] + each["size_y"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


class FakeMetabase:
    """Numbers what is created, and keeps it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((method, path, body))
        return {"id": 100 + len(self.calls)}


def test_any_edition_of_metabase_gets_the_questions_and_the_dashboard_over_its_api() -> None:
    spec = importlib.util.spec_from_file_location("create", FOLDER / "metabase" / "create.py")
    assert spec is not None
    assert spec.loader is not None
    script: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    metabase = FakeMetabase()

    number = script.create(7, metabase)

    paths = [f"{method} {path}" for method, path, _ in metabase.calls]
    assert paths == [
        "POST /api/collection",
        *["POST /api/card"] * len(CARDS),
        "POST /api/dashboard",
        f"PUT /api/dashboard/{number}",
    ]
    _, _, card = metabase.calls[1]
    assert card["dataset_query"]["database"] == 7
    assert card["dataset_query"]["type"] == "native"
    assert card["collection_id"] == 101
    _, _, placed = metabase.calls[-1]
    assert sorted(each["card_id"] for each in placed["dashcards"]) == [102 + index for index in range(len(CARDS))]
    assert len({each["id"] for each in placed["dashcards"]}) == len(CARDS)
    assert all(each["id"] < 0 for each in placed["dashcards"])
