"""How do owed changes become identify calls, and calls become batches?"""

from __future__ import annotations

import pytest

from audience_sync.delivery.calls import Batch, batches, identify_calls, message_id
from audience_sync.model import IdentifyCall
from audience_sync.workspace import Workspace

from .doubles import ScriptedDestination, a_call

TRUE = ("here", "connect", "ann", '{"vip":true}', "vip@1")


def test_the_same_change_has_the_same_message_id() -> None:
    assert message_id(*TRUE) == message_id(*TRUE)


def test_a_message_id_stays_what_it_is_in_every_version_of_the_program() -> None:
    assert message_id(*TRUE) == "16fa47be541d6ee9200ed60f39a81999"


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
def test_another_change_has_another_message_id(other: tuple[str, str, str, str, str]) -> None:
    assert message_id(*other) != message_id(*TRUE)


def test_in_out_and_in_again_are_three_message_ids() -> None:
    ids = {
        message_id("here", "connect", "ann", '{"vip":true}', "vip@1"),
        message_id("here", "connect", "ann", '{"vip":false}', "vip@2"),
        message_id("here", "connect", "ann", '{"vip":true}', "vip@3"),
    }
    assert len(ids) == 3


@pytest.mark.parametrize("user", ["", "ann", "日本 😀", "x" * 2500])
def test_a_message_id_has_at_most_100_characters(user: str) -> None:
    assert len(message_id("here", "connect", user, '{"vip":true}' * 100, "vip@1" * 100)) <= 100


def test_calls_come_in_user_order_with_the_time_of_their_newest_run(workspace: Workspace) -> None:
    workspace.run(
        "create table owed as from (values "
        "('bob', '{\"vip\":false}', 'vip@2', 2), ('Ann', '{\"vip\":true}', 'vip@1', 1)"
        ") t(user_id, traits, versions, run_id)"
    )
    calls = identify_calls(
        workspace, "owed", installation="here", destination="connect", times={1: "2026-03-01", 2: "2026-03-02"}
    )
    assert list(calls) == [
        IdentifyCall(
            "Ann",
            '{"vip":true}',
            message_id("here", "connect", "Ann", '{"vip":true}', "vip@1"),
            "2026-03-01",
            "vip@1",
        ),
        IdentifyCall(
            "bob",
            '{"vip":false}',
            message_id("here", "connect", "bob", '{"vip":false}', "vip@2"),
            "2026-03-02",
            "vip@2",
        ),
    ]


def grouped(destination: ScriptedDestination, *users: str, batch_size: int = 100) -> list[Batch]:
    return list(batches((a_call(user) for user in users), destination, batch_size))


def users_of(found: list[Batch]) -> list[list[str]]:
    return [[call.call.user_id for call in batch.calls] for batch in found]


def test_a_batch_covers_the_users_after_the_one_before() -> None:
    found = grouped(ScriptedDestination(), "ann", "bob", "cem", "dan", "eva", batch_size=2)
    assert [(batch.after, batch.through) for batch in found] == [("", "bob"), ("bob", "dan"), ("dan", "eva")]


def test_no_calls_are_no_batches() -> None:
    assert grouped(ScriptedDestination()) == []


ONE_CALL = 53  # bytes of a message and the comma after it


@pytest.mark.parametrize(
    ("destination", "batch_size", "users"),
    [
        pytest.param(ScriptedDestination(), 2, [["a", "b"], ["c"]], id="as many as were asked for"),
        pytest.param(ScriptedDestination(messages=2), 100, [["a", "b"], ["c"]], id="as many as it takes"),
        pytest.param(
            ScriptedDestination(messages=5, parts=2), 100, [["a", "b"], ["c"]], id="a call's messages stay together"
        ),
        pytest.param(
            ScriptedDestination(request_bytes=2 * ONE_CALL), 100, [["a", "b"], ["c"]], id="as many bytes as it takes"
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


def test_a_call_that_can_never_be_sent_keeps_its_place_and_says_why() -> None:
    [batch] = grouped(ScriptedDestination(unsendable=["bob"]), "ann", "bob", "cem")
    assert [(call.call.user_id, len(call.messages), call.unsendable) for call in batch.calls] == [
        ("ann", 1, ""),
        ("bob", 0, "it is too large"),
        ("cem", 1, ""),
    ]
