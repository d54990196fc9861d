"""Are calls that DuckDB writes for a vendor the same as those that Python writes, whatever is in them?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audience_sync.destinations.base import Audiencing, HttpDestination
from audience_sync.errors import UnsendableError
from audience_sync.model import IdentifyCall, UserId
from audience_sync.workspace import Workspace

from .vendors import vendor

KEYS = [
    "vip",
    "email",
    "firstName",
    "phone",
    "createdAt",
    "name",
    "a.b",
    "A_b",
    "external_id",
    "id",
    "bucket",
    "$ref",
    "k" * 120,
    "é" * 80,
]
ABOUT = Audiencing("here", frozenset({"vip"}), frozenset(KEYS) - {"vip", "phone"})
DESTINATIONS = {
    "amplitude": vendor("amplitude", ABOUT),
    "amplitude of long ids": vendor("amplitude", ABOUT, min_id_length=5),
    "braze": vendor("braze", ABOUT),
    "braze by e-mail": vendor("braze", ABOUT, id="email"),
    "braze by alias": vendor("braze", ABOUT, id="alias", alias_label="it's"),
    "customerio": vendor("customerio", ABOUT),
    "customerio of present people": vendor("customerio", ABOUT, update_only=True),
    "hubspot": vendor("hubspot", ABOUT, id_property="customer_id"),
    "iterable": vendor("iterable", ABOUT),
    "mixpanel": vendor("mixpanel", ABOUT),
    "onesignal": vendor("onesignal", ABOUT),
    "posthog": vendor("posthog", ABOUT),
}
each_destination = pytest.mark.parametrize("destination", DESTINATIONS.values(), ids=DESTINATIONS.keys())

#: Texts that look like other JSON, dates of all forms, and texts about as long as a limit.
TEXTS = [
    *("a:true", '":true', ":null", ":null,", "{", "}", "[", "null", "it's", "é日本😀", "\\", "\n", '":5,', 'email":'),
    *("2026-11-23", "2026-02-30", "2026-11-23T20:51:29Z", "2026-11-23T20:51:29.084Z", "2026-11-23T20:51"),
    *("2026-11-23T20:51:29+02:00", "1960-01-01T00:00:00.5Z", "x" * 64, "y" * 256, "é" * 300, "z" * 1001),
]
values = st.one_of(
    st.sampled_from([True, False, None, 1, -3, 1.5, 10**23, 1e-7, [1, True], {"b": True}, {"b": None}, {"inc": 1}, {}]),
    st.sampled_from([["x"] * 501, list(range(600)), ["y" * 256], [{"b": None}], {"a": {"b": {"c": {"d": 1}}}}]),
    st.sampled_from(TEXTS),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)
traits = st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=4)
users = st.sampled_from(["u-1", "C-00001", 'a"b', "日本", "null", "NaN", "x" * 60, "x" * 200, "é" * 150, "é" * 220])


@pytest.fixture(scope="module")
def workspace() -> Any:
    with Workspace(600_000_000, ["/"]) as opened:
        yield opened


def written_in_sql(workspace: Workspace, destination: HttpDestination, call: IdentifyCall) -> bytes | None:
    columns = "? as user_id, ? as traits, ? as message_id, ? as timestamp"
    query = f"select encode({destination.encode_sql()}) from (select {columns})"
    body: bytes | None = workspace.one(query, call[:4])[0]
    return body


def bodies(destination: HttpDestination, call: IdentifyCall) -> list[bytes]:
    try:
        return [message.body for message in destination.encode(call)]
    except UnsendableError:
        return []


@each_destination
@given(user=users, found=traits, at=st.sampled_from(["06:00:00.000", "06:00:00.999"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
def test_both_write_the_same_bytes(
    workspace: Workspace, destination: HttpDestination, user: str, found: dict[str, Any], at: str
) -> None:
    traits_json = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    call = IdentifyCall(UserId(user), traits_json, "a" * 32, f"2026-03-01T{at}Z")
    body = written_in_sql(workspace, destination, call)
    assert body is None or [body] == bodies(destination, call)


@each_destination
@pytest.mark.parametrize(
    "found",
    [
        pytest.param({"vip": True, "churn_risk": False}, id="memberships"),
        pytest.param({"vip": True, "email": "a@example.com", "total_revenue": 12.5, "plan": "premium"}, id="traits"),
        pytest.param({"vip": True, "last_order": "2026-11-23T20:51:29Z", "since": "2026-11-23"}, id="dates"),
    ],
)
def test_an_ordinary_call_is_written_in_sql(
    workspace: Workspace, destination: HttpDestination, found: dict[str, Any]
) -> None:
    call = IdentifyCall(
        UserId("C-00001"), json.dumps(found, separators=(",", ":")), "a" * 32, "2026-03-01T06:00:00.000Z"
    )
    assert [written_in_sql(workspace, destination, call)] == bodies(destination, call) != []
