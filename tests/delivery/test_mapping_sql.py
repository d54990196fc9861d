"""Calls that DuckDB maps and encodes equal those of Python, whatever their values and the mapping."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from destinations.examples import segment
from destinations.vendors import vendor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audience_sync.delivery.mapping import mapping_of
from audience_sync.delivery.send.calls import CallReader
from audience_sync.delivery.send.encode import EncodedCall, encode
from audience_sync.destinations.base import Audiencing, Destination
from audience_sync.model import RunId
from audience_sync.sql import TableName
from audience_sync.workspace import Workspace

KEYS = ("crm_id", "email", "email_2", "firstName", "phone", "plan", "vip")
ABOUT = Audiencing("here", frozenset({"vip"}), frozenset(KEYS) - {"vip"})
AT = "2026-03-01T06:00:00.000Z"
ADA = "ada@example.com"

#: Texts that look like JSON, like a hash or like a number, and letters whose lower case differs between programs.
TEXTS = [
    *(ADA, " Ada@Example.COM ", "ADA", "", " ", "é@exämple.com", "İ", "ΑΣ", "K", "日本😀", "0", "12", "-0", "1e3"),
    *('"', "\\", '"email":"x"', '","vip":true', "{", "}", ":", ",", ":null", 'email":null', "\n", "\t x", "it's"),
    *("a" * 64, " " + "AB" * 32, "g" * 64, "+49 30 901820", "+4930901820", "030 901820", "2026-11-23T20:51:29Z"),
]
values = st.one_of(
    st.sampled_from([True, False, None, 0, 7, -3, 1.5, 10**23, [1, "email"], {"email": ADA}, {"vip": None}, {}]),
    st.sampled_from(TEXTS),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)
current = st.dictionaries(st.sampled_from(["crm_id", "email", "phone"]), values)
calls = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(KEYS), values, min_size=1), current), min_size=4, max_size=12
)
some = st.sets(st.sampled_from(["crm_id", "email", "phone", "plan"])).map(sorted)
names = st.permutations([*KEYS, 'the "plan"', "is vip", "mail", "$email"]).map(
    lambda chosen: {key: name for key, name in zip(KEYS, chosen, strict=False) if key != name}
)
options = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from(["email", "crm_id"]),
        "identifiers": st.permutations(["crm_id", "email", "phone"]).map(lambda each: each[:2]),
        "rename": st.one_of(names, st.just({"vip": "is_vip"})),
        "hash": some,
        "on_null": st.just("skip"),
    },
)
former_names = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["old", "vip", "mail", "plan"]))
Calls = Sequence[tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def workspace() -> Any:
    with Workspace(600_000_000, ["/"]) as opened:
        yield opened


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def reader(
    workspace: Workspace, found: Calls, destination: Destination, former: Mapping[str, str] | None = None
) -> CallReader:
    """A reader of the calls: each is the properties of one user, and other current values."""
    mapping = mapping_of(destination)
    table = TableName("calls")
    workspace.run(
        f"create or replace table {table} (user_id varchar, traits varchar, versions varchar, run_id integer, "
        "identifiers varchar, former varchar, repeated varchar)"
    )
    for number, (traits, others) in enumerate(found):
        ordered = dict(sorted(traits.items()))
        versions = ",".join(f"{key}@1" for key in ordered)
        # The call of an exit has the last value of an identifier that it carries as lost.
        lacking = [key for key in mapping.current_traits if key in others and ordered.get(key) is None]
        identifiers = compact({key: others[key] for key in lacking})
        pairs = sorted((former or {}).items())[: number % 3]
        row = [f"u-{number:02}", compact(ordered), versions, 1, identifiers, compact(pairs) if pairs else None, None]
        workspace.run(f"insert into {table} values (?, ?, ?, ?, ?, ?, ?)", row)
    return CallReader(
        workspace=workspace,
        table=table,
        installation="here",
        destination="crm",
        times={RunId(1): AT},
        mapping=mapping,
        is_mapped=True,
    )


def by_duckdb(calls: CallReader, destination: Destination) -> list[EncodedCall]:
    return [each for batch in calls.encoded(destination) for each in batch]


def contents(call: EncodedCall) -> tuple[Any, ...]:
    return call.user_id, call.messages, call.unsendable, call.left_out


def make(name: str, **mapped: Any) -> Destination:
    if name == "segment":
        return segment(ABOUT, **mapped)
    own = {"hubspot": {"id_property": "customer_id"}}
    return vendor(name, ABOUT, **{**own.get(name, {}), **mapped})


TYPES = ["segment", "amplitude", "braze", "customerio", "hubspot", "iterable", "mixpanel", "onesignal", "posthog"]


@pytest.mark.parametrize("name", TYPES)
@given(found=calls, mapped=options, former=former_names)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_duckdb_and_python_map_alike(
    workspace: Workspace, name: str, found: Calls, mapped: dict[str, Any], former: dict[str, str]
) -> None:
    destination = make(name, **mapped)
    calls = reader(workspace, found, destination, former)
    by_python = [encode(each, destination, calls.mapping) for each in calls]
    assert [contents(each) for each in by_duckdb(calls, destination)] == [contents(each) for each in by_python]


ORDINARY: Calls = [
    ({"vip": True}, {"email": ADA, "crm_id": 7}),
    ({"email": ADA, "plan": "premium", "vip": False}, {"crm_id": "C-7"}),
]


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize(
    ("mapped", "former"),
    [
        pytest.param({"identifiers": ["email"]}, {}, id="identifiers"),
        pytest.param({"identifiers": ["email"], "hash": ["email"]}, {}, id="hashes"),
        pytest.param({"rename": {"vip": "plan", "plan": "is_vip"}}, {}, id="names that are also keys"),
        pytest.param({"rename": {"vip": "is_vip"}}, {"vip": "vip"}, id="former names"),
        pytest.param({"user_id": "crm_id", "identifiers": ["email"], "on_null": "skip"}, {}, id="other ids"),
    ],
)
def test_duckdb_maps_an_ordinary_call(
    workspace: Workspace, name: str, mapped: dict[str, Any], former: dict[str, str]
) -> None:
    destination = make(name, **mapped)
    calls = reader(workspace, ORDINARY, destination, former)
    assert [each.details for each in by_duckdb(calls, destination)] == [None, None]
