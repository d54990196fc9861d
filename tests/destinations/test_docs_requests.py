"""The requests that pages in docs/destinations/ show are those that the program makes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .vendors import call, sent, vendor

PAGES = Path(__file__).parents[2] / "docs" / "destinations"
NEW = {"vip": True, "revenue_180d": 1250.5, "last_order": "2026-11-23"}
ENTERED = call("C-00617", "5f1c2b7e9d04", **NEW)
LEFT = call("C-00042", "8a90d3c61b27", vip=False, plan=None)
REQUESTS = [
    ("amplitude", {"api_key": "AMPLITUDE_API_KEY"}, [ENTERED, LEFT]),
    ("hubspot", {"id_property": "customer_id"}, [ENTERED, LEFT]),
    ("iterable", {}, [ENTERED, LEFT]),
    ("onesignal", {}, [call("C-00617", **NEW, plan=None)]),
]


@pytest.mark.parametrize(("name", "options", "calls"), REQUESTS, ids=[name for name, *_ in REQUESTS])
def test_a_page_shows_the_request_of_its_destination(name: str, options: dict[str, Any], calls: list[Any]) -> None:
    destination = vendor(name, **options)
    [shown] = re.findall(r"```json\n(.*?)```", (PAGES / f"{name}.md").read_text("utf-8"), re.DOTALL)
    messages = [message for each in calls for message in destination.encode(each)]
    assert sent(destination, *messages) == json.loads(shown)
