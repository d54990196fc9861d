"""Measure how many calls a second each destination encodes, as in a run, in CPU seconds of one process.

    python benchmarks/encoding.py --calls 200000
    python benchmarks/encoding.py --out docs/benchmarks.md

Prints a row for each type and kind of call: the pace without and with a mapping, the share of calls that DuckDB leaves
to Python, and the pace of Python alone. Message ids and the sort by user are included.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from audience_sync.delivery.mapping import mapping_of
from audience_sync.delivery.send import calls as reading
from audience_sync.delivery.send.calls import CallReader
from audience_sync.delivery.send.encode import EncodedCall, encode
from audience_sync.destinations.base import Audiencing, Destination
from audience_sync.destinations.registry import destination_types
from audience_sync.model import RunId
from audience_sync.sql import TableName
from audience_sync.workspace import Workspace
from benchmarks.facts import machine
from benchmarks.page import markdown, replace_between

TRAITS = frozenset({"email", "first_name", "interests", "last_order", "plan", "total_revenue"})
ABOUT = Audiencing("here", frozenset({"vip", "churn_risk"}), TRAITS)
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
#: What destinations with a mapping are sent: another name, and the hash of the e-mail address in every call.
MAPPING = {"rename": {"vip": "is_vip"}, "identifiers": ["email"], "hash": ["email"]}
#: SQL for each property of user ``i``. One name in a hundred has a quote, every tenth is not in ASCII.
_EMAIL = """'"user' || i || '@example.com"'"""
_DATE = """'"2026-11-' || 10 + i % 20 || 'T20:51:29Z"'"""
_NAME = """case when i % 100 = 0 then '"Jo \\"JJ\\" Li"' when i % 10 = 0 then '"Zoë"' else '"Ada"' end"""
_INTERESTS = """case when i % 20 = 0 then '["golf","chess"]' end"""
CALLS: Mapping[str, Mapping[str, str]] = {
    "1 to 3 properties": {
        "email": f"case when i % 3 > 0 then {_EMAIL} end",
        "last_order": f"case when i % 3 > 1 then {_DATE} end",
        "vip": "'true'",
    },
    "6 properties": {
        "churn_risk": "'false'",
        "email": _EMAIL,
        "last_order": _DATE,
        "plan": "'\"premium\"'",
        "total_revenue": "(i * 1.5)::varchar",
        "vip": "'true'",
    },
    "5 properties, with odd values": {
        "email": _EMAIL,
        "first_name": _NAME,
        "interests": _INTERESTS,
        "last_order": _DATE,
        "vip": "'true'",
    },
}
PYTHON_CALLS = 3_000
HEADS = ("calls", "type", "calls a second", "with mapping", "left to Python", "with mapping", "Python alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--only", default="", help="types whose name has this text")
    parser.add_argument("--out", type=Path, help="a Markdown page whose part between the markers is replaced")
    chosen = parser.parse_args()
    body = []
    with Workspace(1_000_000_000, ["/"]) as workspace:
        for kind, properties in CALLS.items():
            table = calls_table(workspace, properties, chosen.calls)
            for name, options in TYPES.items():
                if chosen.only in name:
                    body.append((kind, *row(workspace, table, name, options)))
    shown = Table(*HEADS, box=None)
    for cells in body:
        shown.add_row(*cells)
    Console(width=140).print(shown)
    if chosen.out:
        replace_between(chosen.out, "encoding", [f"Machine: {machine()}.", markdown(HEADS, body, names=2)])


def calls_table(workspace: Workspace, properties: Mapping[str, str], calls: int) -> TableName:
    """Return a table of pending calls with the properties of each user that are not NULL."""
    pairs = ", ".join(f"""'"{key}":' || {value}""" for key, value in properties.items())
    versions = ", ".join(f"case when ({value}) is not null then '{key}@1' end" for key, value in properties.items())
    others = f"""'{{"email":' || {_EMAIL} || '}}'"""
    return workspace.table(
        "calls",
        f"select 'C-' || i as user_id, '{{' || concat_ws(',', {pairs}) || '}}' as traits, "
        f"concat_ws(',', {versions}) as versions, 1::integer as run_id, "
        f"case when contains(traits, '\"email\":') then '{{}}' else {others} end as identifiers, "
        f"null::varchar as former, null::varchar as repeated from range({calls}) t(i)",
    )


def row(workspace: Workspace, table: TableName, name: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    plain, mapped = (_destination(name, {**options, **more}) for more in ({}, MAPPING))
    found = [pace(reader(workspace, table, each), each) for each in (plain, mapped)]
    python = python_pace(reader(workspace, f"(from {table} limit {PYTHON_CALLS})", mapped), mapped)
    return (
        f"`{name}`",
        *(f"{each:,.0f}" for each, _ in found),
        *(f"{left:.1%}" for _, left in found),
        f"{python:,.0f}",
    )


def _destination(name: str, options: Mapping[str, Any]) -> Destination:
    destination_type = destination_types()[name]
    return destination_type(destination_type.Options(**{"type": name, **options}), ABOUT)


def reader(workspace: Workspace, table: str, destination: Destination) -> CallReader:
    return CallReader(
        workspace=workspace,
        table=TableName(table),
        installation="here",
        destination="crm",
        times={RunId(1): "2026-11-23T20:51:29.084Z"},
        mapping=mapping_of(destination),
        is_mapped=bool(destination.options.identifiers),
    )


def pace(calls: CallReader, destination: Destination) -> tuple[float, float]:
    """Return the calls a second, and the share that is left to Python."""
    left: list[EncodedCall] = []

    def encode_and_count(*arguments: Any) -> EncodedCall:
        left.append(encode(*arguments))
        return left[-1]

    reading.encode = encode_and_count  # type: ignore[assignment]  # the same parameters
    started = time.process_time()
    count = sum(map(len, calls.encoded(destination)))
    return count / (time.process_time() - started), len(left) / count


def python_pace(calls: CallReader, destination: Destination) -> float:
    found = list(calls)
    started = time.process_time()
    for call in found:
        encode(call, destination, calls.mapping)
    return len(found) / (time.process_time() - started)


if __name__ == "__main__":
    main()
