"""What dbt 1.11 wrote for tests/dbt_project/shop, at another time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

DBT = Path(__file__).parent


def results_of(name: str, *, hours_ago: float = 0) -> dict[str, Any]:
    """``built``: everything was. ``broken``: `churn_risk` failed. ``tested``: `dbt test`."""
    found: dict[str, Any] = json.loads((DBT / "results" / f"{name}.json").read_text("utf-8"))
    at = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
    found["metadata"]["generated_at"] = at
    for each in found["results"]:
        for timing in each["timing"]:
            timing["completed_at"] = at
    return found


def failing_test(status: str = "fail") -> dict[str, Any]:
    """The test of `big_spenders` has this status."""
    results = results_of("built")
    results["results"][-1]["status"] = status
    return results
