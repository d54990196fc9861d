"""How many calls a second does each destination encode? By DuckDB, as in a run, in CPU seconds of one process.

    python benchmarks/encoding.py --calls 200000

Prints a row for each type and kind of call, with the share of calls that DuckDB leaves to Python, and the pace there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from audience_sync.destinations.base import Audiencing, Destination
from audience_sync.destinations.registry import destination_types
from audience_sync.errors import UnsendableError
from audience_sync.model import IdentifyCall
from audience_sync.workspace import Workspace

ABOUT = Audiencing(
    "here", frozenset({"vip", "churn_risk"}), frozenset({"email", "plan", "total_revenue", "last_order"})
)
TYPES: Mapping[str, Mapping[str, Any]] = {
    "segment": {"write_key": "k"},
    "amplitude": {"api_key": "k"},
    "braze": {"api_key": "k", "url": "https://rest.example.test"},
    "customerio": {"site_id": "s", "api_key": "k"},
    "hubspot": {"token": "k", "id_property": "customer_id"},
    "iterable": {"api_key": "k"},
    "mixpanel": {"token": "k"},
    "onesignal": {"app_id": "a", "api_key": "k"},
    "posthog": {"api_key": "k"},
}
#: SQL for the traits of user ``i``.
CALLS = {
    "two memberships": """'{"vip":true,"churn_risk":false}'""",
    "five properties, a date": """'{"churn_risk":false,"email":"user' || i || '@example.com",'
        || '"last_order":"2026-11-23T20:51:29Z","plan":"premium","total_revenue":' || (i * 1.5) || ',"vip":true}'""",
}
PYTHON_CALLS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200_000)
    calls = parser.parse_args().calls
    table = Table("type", "calls", "DuckDB: calls a second", "left to Python", "Python: calls a second", box=None)
    with Workspace(1_000_000_000, ["/"]) as workspace:
        for kind, traits in CALLS.items():
            workspace.connection.execute(
                f"create or replace table calls as select 'C-' || i as user_id, {traits} as traits, "
                f"sha1(i::varchar)[:32] as message_id, '2026-11-23T20:51:29.084Z' as timestamp from range({calls}) t(i)"
            )
            for name, options in TYPES.items():
                destination_type = destination_types()[name]
                destination = destination_type(destination_type.Options(**{"type": name, **options}), ABOUT)
                pace, left = duckdb_pace(workspace, destination, calls)
                table.add_row(name, kind, f"{pace:,.0f}", f"{left:.0%}", f"{python_pace(workspace, destination):,.0f}")
    Console().print(table)


def duckdb_pace(workspace: Workspace, destination: Destination, calls: int) -> tuple[float, float]:
    """Return the calls a second, and the share that is left to Python."""
    started, left = time.process_time(), 0
    query = f"select message_id, encode({destination.encode_sql()}), user_id, null from calls"
    for rows in workspace.stream(query):
        left += sum(row[1] is None for row in rows)
    return calls / (time.process_time() - started), left / calls


def python_pace(workspace: Workspace, destination: Destination) -> float:
    rows = workspace.all(f"select user_id, traits, message_id, timestamp from calls limit {PYTHON_CALLS}")
    calls = [IdentifyCall(*row) for row in rows]
    started = time.process_time()
    for call in calls:
        try:
            destination.encode(call)
        except UnsendableError:
            continue
    return len(calls) / (time.process_time() - started)


if __name__ == "__main__":
    main()
