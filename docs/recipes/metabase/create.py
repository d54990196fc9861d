"""Create the questions and the dashboard of this folder in a Metabase of any edition, over its API.

    METABASE_URL=https://metabase.example.com METABASE_API_KEY=... python create.py DATABASE_ID

The number of the database is in its address under Admin, Databases. Needs `requests` and `pyyaml`. Pro and Enterprise
can import the folder instead: `metabase import`, or remote sync.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
import yaml

FOLDER = Path(__file__).parent / "collections" / "main"
Post = Callable[[str, str, dict[str, Any]], dict[str, Any]]


def entities(model: str) -> Iterator[dict[str, Any]]:
    """The contents of the files of one kind: Collection, Card or Dashboard."""
    for file in sorted(FOLDER.rglob("*.yaml")):
        entity = yaml.safe_load(file.read_text("utf-8"))
        if entity["serdes/meta"][-1]["model"] == model:
            yield entity


def create(database: int, call: Post) -> int:
    """Create everything in a new collection; returns the dashboard's number. ``call``: method, path and body."""
    [collection] = entities("Collection")
    place = call("POST", "/api/collection", {"name": collection["name"], "description": collection["description"]})[
        "id"
    ]
    numbers = {
        card["entity_id"]: call("POST", "/api/card", _card(card, database, place))["id"] for card in entities("Card")
    }
    [dashboard] = entities("Dashboard")
    about = {"name": dashboard["name"], "description": dashboard["description"], "collection_id": place}
    number: int = call("POST", "/api/dashboard", about)["id"]
    cards = [
        {
            "id": -index,
            "card_id": numbers[each["card_id"]],
            **{name: each[name] for name in ("row", "col", "size_x", "size_y")},
        }
        for index, each in enumerate(dashboard["dashcards"], 1)
    ]
    call("PUT", f"/api/dashboard/{number}", {"dashcards": cards})
    return number


def _card(card: dict[str, Any], database: int, collection: int) -> dict[str, Any]:
    [stage] = card["dataset_query"]["stages"]
    query = {"database": database, "type": "native", "native": {"query": stage["native"]}}
    shown = {name: card[name] for name in ("name", "display", "visualization_settings")}
    return {**shown, "dataset_query": query, "collection_id": collection}


def main() -> None:
    url, key = os.environ["METABASE_URL"].rstrip("/"), os.environ["METABASE_API_KEY"]

    def call(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = requests.request(method, url + path, json=body, headers={"x-api-key": key}, timeout=60)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    print(f"{url}/dashboard/{create(int(sys.argv[1]), call)}")


if __name__ == "__main__":
    main()
