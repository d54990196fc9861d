"""Pending calls become identify calls, and calls become batches."""

from __future__ import annotations

import hashlib

import duckdb
import pytest
from destinations.examples import segment
from destinations.vendors import vendor

from audience_sync.delivery.send.batches import Batch, batch_messages, batches
from audience_sync.delivery.send.calls import BLOCK_ROWS, CallReader
from audience_sync.delivery.send.encode import CallColumns, EncodedCall, encode
from audience_sync.destinations.base import Audiencing, Destination, HttpDestination, Message, joined_bodies
from audience_sync.destinations.file import FileDestination, FileOptions
from audience_sync.sql import TableName
from audience_sync.workspace import Workspace

from .scripted_destination import ScriptedDestination, identify_call

#: Installation, destination, user, traits, versions.
TRUE = ("here", "connect", "ann", '{"vip":true}', "vip@1")
TIMES = {1: "2026-03-01", 2: "2026-03-02", 3: "2026-03-03"}


def pending_table(workspace: Workspace, *calls: tuple[str, str, str]) -> TableName:
    """``calls``: user, traits, versions."""
    table = workspace.name("pending")
    workspace.run(f"create table {table} (user_id varchar, traits varchar, versions varchar, run_id integer)")
    for user, traits, versions in calls:
        workspace.run(f"insert into {table} values (?, ?, ?, ?)", [user, traits, versions, int(versions[-1])])
    return table


def message_id(workspace: Workspace, installation: str, destination: str, *call: str) -> str:
    user, traits, versions = call
    table = pending_table(workspace, (user, traits, versions))
    [found] = CallReader(
        workspace=workspace, table=table, installation=installation, destination=destination, times=TIMES
    )
    return found.message_id


def test_the_same_change_has_the_same_message_id(workspace: Workspace) -> None:
    assert message_id(workspace, *TRUE) == message_id(workspace, *TRUE)


def test_a_message_id_is_the_same_in_every_version_of_the_program(workspace: Workspace) -> None:
    change = "\0".join(TRUE).encode()
    assert message_id(workspace, *TRUE) == hashlib.sha1(change).hexdigest()[:32] == "52c1f28b3dd4082ebe0a02b62c252897"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("there", "connect", "ann", '{"vip":true}', "vip@1"), id="another installation"),
        pytest.param(("here", "segment", "ann", '{"vip":true}', "vip@1"), id="another destination"),
        pytest.param(("here", "connect", "bob", '{"vip":true}', "vip@1"), id="another user"),
        pytest.param(("here", "connect", "ann", '{"vip":false}', "vip@1"), id="another value"),
        pytest.param(("here", "connect", "ann", '{"vip":true}', "vip@2"), id="another run"),
    ],
)
def test_another_change_has_another_message_id(workspace: Workspace, other: tuple[str, str, str, str, str]) -> None:
    assert message_id(workspace, *other) != message_id(workspace, *TRUE)


def test_in_out_and_in_again_are_three_message_ids(workspace: Workspace) -> None:
    ids = {
        message_id(workspace, "here", "connect", "ann", '{"vip":true}', "vip@1"),
        message_id(workspace, "here", "connect", "ann", '{"vip":false}', "vip@2"),
        message_id(workspace, "here", "connect", "ann", '{"vip":true}', "vip@3"),
    }
    assert len(ids) == 3


@pytest.mark.parametrize("user", ["ann", "日本 😀", "x" * 2500])
def test_a_message_id_has_at_most_100_characters(workspace: Workspace, user: str) -> None:
    assert len(message_id(workspace, "here", "connect", user, '{"vip":true}' * 100, "vip@1" * 100)) <= 100


def test_calls_are_in_user_order_with_the_time_of_their_newest_run(workspace: Workspace) -> None:
    table = pending_table(workspace, ("bob", '{"vip":false}', "vip@2"), ("Ann", '{"vip":true}', "vip@1"))
    calls = CallReader(workspace=workspace, table=table, installation="here", destination="connect", times=TIMES)
    assert [(call.user_id, call.traits_json, call.timestamp, call.versions) for call in calls] == [
        ("Ann", '{"vip":true}', "2026-03-01", "vip@1"),
        ("bob", '{"vip":false}', "2026-03-02", "vip@2"),
    ]


def test_a_call_of_a_run_without_a_start_time_is_an_error(workspace: Workspace) -> None:
    table = pending_table(workspace, ("ann", '{"vip":true}', "vip@9"))
    calls = CallReader(workspace=workspace, table=table, installation="here", destination="connect", times=TIMES)
    with pytest.raises(duckdb.Error, match="there is no start time of run 9"):
        list(calls)


def test_a_hundred_thousand_calls_keep_their_order(workspace: Workspace) -> None:
    workspace.run(
        "create table many as select hash(i)::varchar as user_id, '{}' as traits, 'a@1' as versions, 1 as run_id "
        "from range(100000) t(i)"
    )
    destination = FileDestination(FileOptions.model_validate({"path": "out"}), Audiencing("here"))
    made = CallReader(workspace=workspace, table="many", installation="here", destination="log", times=TIMES).encoded(
        destination
    )
    parts = [[call.user_id for call in calls] for calls in made]
    assert max(map(len, parts)) <= 100_000 / 8 + BLOCK_ROWS
    users = [user for part in parts for user in part]
    assert len(users) == 100_000
    assert users == sorted(users)


def grouped(destination: ScriptedDestination, *users: str, batch_size: int = 100) -> list[Batch]:
    return list(
        batches([[encode(identify_call(user), destination)] for user in users], destination, max_calls=batch_size)
    )


def users_of(found: list[Batch]) -> list[list[str]]:
    return [[call.user_id for call in batch.calls] for batch in found]


def test_a_batch_covers_the_users_after_the_one_before() -> None:
    found = grouped(ScriptedDestination(), "ann", "bob", "cem", "dan", "eva", batch_size=2)
    assert [(batch.after, batch.through) for batch in found] == [("", "bob"), ("bob", "dan"), ("dan", "eva")]


def test_no_calls_are_no_batches() -> None:
    assert grouped(ScriptedDestination()) == []


ONE_CALL = 53  # bytes of a message and the comma after it


@pytest.mark.parametrize(
    ("destination", "batch_size", "users"),
    [
        pytest.param(ScriptedDestination(), 2, [["a", "b"], ["c"]], id="the batch size"),
        pytest.param(ScriptedDestination(messages=2), 100, [["a", "b"], ["c"]], id="the limit of messages"),
        pytest.param(
            ScriptedDestination(messages=5, parts=2), 100, [["a", "b"], ["c"]], id="a call's messages stay together"
        ),
        pytest.param(
            ScriptedDestination(request_bytes=2 * ONE_CALL), 100, [["a", "b"], ["c"]], id="the limit of bytes"
        ),
        pytest.param(
            ScriptedDestination(request_bytes=2 * ONE_CALL - 1), 100, [["a"], ["b"], ["c"]], id="one byte less"
        ),
        pytest.param(ScriptedDestination(request_bytes=1), 100, [["a"], ["b"], ["c"]], id="each too large: alone"),
    ],
)
def test_a_batch_stays_within_the_limits(
    destination: ScriptedDestination, batch_size: int, users: list[list[str]]
) -> None:
    assert users_of(grouped(destination, "a", "b", "c", batch_size=batch_size)) == users


def test_an_unsendable_call_keeps_its_place_and_has_a_reason() -> None:
    [batch] = grouped(ScriptedDestination(unsendable=["bob"]), "ann", "bob", "cem")
    assert [(call.user_id, len(call.messages), call.unsendable) for call in batch.calls] == [
        ("ann", 1, ""),
        ("bob", 0, "it is too large"),
        ("cem", 1, ""),
    ]


def encoded(workspace: Workspace, ids: str, destination: Destination, users: int = 150_000) -> list[EncodedCall]:
    """The calls, made into objects, of so many users. ``ids``: SQL for the id of user ``i``."""
    workspace.run(
        f"create table many as select {ids} as user_id, '{{\"vip\":true}}' as traits, 'vip@1' as versions, 1 as run_id "
        f"from range({users}) t(i) order by user_id"
    )
    reader = CallReader(workspace=workspace, table=TableName("many"), installation="here", destination="x", times=TIMES)
    found = list(reader.encoded(destination))
    assert [type(calls) for calls in found].count(CallColumns) > 1
    return [call for calls in found for call in calls]


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param("'user-' || i", id="all by DuckDB"),
        pytest.param("""case when i % 50000 = 7 then 'a "b" ' || i else 'é' || i end""", id="some by Python"),
        pytest.param("""case when i between 60000 and 70000 then '"' || i else 'z' || i end""", id="a block by Python"),
    ],
)
def test_calls_in_columns_are_the_calls_of_python_in_the_order_of_users(workspace: Workspace, ids: str) -> None:
    found = encoded(workspace, ids, segment())
    reader = CallReader(workspace=workspace, table=TableName("many"), installation="here", destination="x", times=TIMES)
    users = [call.user_id for call in found]
    assert (len(users), users) == (150_000, sorted(users))
    some = found[::997] + [call for call in found if '"' in call.user_id][:9_000]
    expected = reader.for_users([call.user_id for call in some])
    for call in some:
        assert call.messages == encode(expected[call.user_id], segment()).messages


def test_only_a_block_with_a_call_that_cannot_be_sent_is_a_list(workspace: Workspace) -> None:
    large = """case when i = 5_000 then '{"vip":"' || repeat('x', 40_000) || '"}' else '{"vip":true}' end"""
    workspace.run(
        f"create table many as select format('{{:05}}', i) || if(i % 100 = 7, '\"', '') as user_id, {large} as traits, "
        "'vip@1' as versions, 1 as run_id from range(10_000) t(i) order by user_id"
    )
    reader = CallReader(workspace=workspace, table=TableName("many"), installation="here", destination="x", times=TIMES)
    found = [calls for calls in reader.encoded(segment()) if len(calls) > 1_000]
    assert [type(calls) for calls in found].count(list) == 1
    calls = [call for each in reader.encoded(segment()) for call in each]
    assert (len(calls), [call.user_id for call in calls if call.details is not None and call.unsendable]) == (
        10_000,
        ["05000"],
    )
    whole = [call for call in calls if not call.unsendable]
    expected = reader.for_users([call.user_id for call in whole])
    assert [call.messages for call in whole] == [encode(expected[call.user_id], segment()).messages for call in whole]


def joined_body(batch: Batch) -> bytes:
    return bytes(joined_bodies(batch_messages(batch.calls)))


def test_batches_of_columns_are_those_of_single_calls(workspace: Workspace) -> None:
    calls = encoded(workspace, "'user-' || i || repeat('x', (i % 97)::integer)", segment())
    reader = CallReader(workspace=workspace, table=TableName("many"), installation="here", destination="x", times=TIMES)
    found = list(batches(reader.encoded(segment()), segment()))
    expected = list(batches([calls], segment()))
    assert [(each.after, each.through, len(each.calls)) for each in found] == [
        (each.after, each.through, len(each.calls)) for each in expected
    ]
    assert [joined_body(each) for each in found] == [joined_body(each) for each in expected]
    assert max(len(joined_body(each)) for each in found) <= segment().limits.request_bytes


def test_a_part_of_a_batch_in_columns_is_the_same_part_of_its_calls(workspace: Workspace) -> None:
    calls = encoded(workspace, "'user-' || i", segment(), users=130_000)
    reader = CallReader(workspace=workspace, table=TableName("many"), installation="here", destination="x", times=TIMES)
    first = next(iter(reader.encoded(segment())))
    assert list(first[10:20]) == list(first)[10:20] == calls[10:20]
    assert list(first[10:20][2:5]) == calls[12:15]
    assert (first[-1], first[10:20][-1]) == (calls[len(first) - 1], calls[19])
    assert joined_bodies(batch_messages(first[10:12])) == calls[10].body + b"," + calls[11].body


IN_BATCHES = {
    "segment": segment(),
    "hubspot": vendor("hubspot", id_property="customer_id"),
    **{name: vendor(name) for name in ("amplitude", "braze", "customerio", "iterable", "mixpanel", "posthog")},
}


@pytest.mark.parametrize("destination", IN_BATCHES.values(), ids=IN_BATCHES)
def test_requests_of_calls_in_columns_have_the_bodies_of_single_calls(
    workspace: Workspace, destination: HttpDestination
) -> None:
    table = pending_table(workspace, *((f"user-{n}", '{"vip":true}', "vip@1") for n in range(9)))
    reader = CallReader(workspace=workspace, table=table, installation="here", destination="x", times=TIMES)
    [calls] = reader.encoded(destination)
    columns, single = batch_messages(calls), [Message(call.message_id, call.body) for call in calls]
    assert isinstance(columns, CallColumns)
    assert [destination.request(part).body for part in destination.parts(columns)] == [
        destination.request(part).body for part in destination.parts(single)
    ]
