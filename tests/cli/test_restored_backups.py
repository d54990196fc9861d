"""A store that is put back, copied or left behind: its new changes never reuse the message ids of another history."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, received, segment

DOWN = Reply(status=503)
ONE_BY_ONE: dict[str, Any] = {"batch_size": 1, "concurrency": 1, "give_up_after": "200ms"}


def put_back(project: Project, backup: Path) -> None:
    shutil.copy(backup, project.store)


def back_up(project: Project) -> Path:
    """The store as it is; read while it has no writer, so a copy of the file is whole."""
    backup = project.folder / "backup.db"
    shutil.copy(project.store, backup)
    return backup


def reused_ids(messages: Iterable[dict[str, Any]]) -> list[str]:
    """Message ids that came with more than one content."""
    contents: dict[str, set[str]] = {}
    for message in messages:
        contents.setdefault(message["messageId"], set()).add(json.dumps(message, sort_keys=True))
    return [each for each, found in contents.items() if len(found) > 1]


def believed(messages: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The users' properties at a receiver that drops repeats by their message id."""
    seen: set[str] = set()
    users: dict[str, Any] = {}
    for message in messages:
        if message["messageId"] not in seen:
            users.setdefault(message["userId"], {}).update(message["traits"])
        seen.add(message["messageId"])
    return users


@pytest.fixture
def shop(vip: Project, receiver: Receiver) -> Project:
    """`vip` with one destination, which is sent one call a request."""
    audiences = [{"name": "VIP", "source": "shop", "file": "vip.csv"}]
    vip.configure(audiences=audiences, destinations={"segment": segment(receiver, **ONE_BY_ONE)})
    return vip


def go_on(shop: Project, *snapshots: tuple[str, ...]) -> None:
    """A run for each of these snapshots."""
    for members in snapshots:
        shop.write_members("vip.csv", *members)
        assert shop.sync().code == 0


def test_a_backup_of_before_the_first_delivery_reuses_no_message_id(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(DOWN)
    assert shop.sync().code != 0
    receiver.requests.clear()
    backup = back_up(shop)
    receiver.will_answer(ACCEPTED)
    go_on(shop, ("ada",), ("ada", "bob"), ("bob",))
    put_back(shop, backup)
    go_on(shop, ("cyd", "dan"), ("bob", "cyd"), ("bob",))
    assert reused_ids(received(receiver)) == []
    assert shop.run("resync").code == 0
    assert reused_ids(received(receiver)) == []
    assert believed(received(receiver))["bob"] == {"vip": True}


def test_a_backup_of_the_middle_of_a_delivery_reuses_no_message_id(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(ACCEPTED, DOWN)
    assert shop.sync().destination("segment")["pending"] == 2
    backup = back_up(shop)
    receiver.will_answer(ACCEPTED)
    go_on(shop, ("ada",), ("ada", "bob"), ("ada", "bob", "cyd"))
    put_back(shop, backup)
    go_on(shop, ("bob",), ("ada", "bob"), ("bob", "cyd"))
    assert reused_ids(received(receiver)) == []
    assert shop.run("resync").code == 0
    assert believed(received(receiver)) == {"ada": {"vip": False}, "bob": {"vip": True}, "cyd": {"vip": True}}


def test_a_backup_of_after_a_delivery_reuses_no_message_id(shop: Project, receiver: Receiver) -> None:
    assert shop.sync().code == 0
    backup = back_up(shop)
    go_on(shop, ("ada", "bob"), ("ada", "bob", "cyd"))
    put_back(shop, backup)
    go_on(shop, ("ada", "bob"))
    assert reused_ids(received(receiver)) == []
    assert believed(received(receiver))["cyd"] == {"vip": False}


def test_a_backup_that_is_put_back_twice_reuses_no_message_id(shop: Project, receiver: Receiver) -> None:
    go_on(shop, ("ada", "bob", "cyd"), ("ada", "bob"))
    backup = back_up(shop)
    for _ in range(3):
        go_on(shop, ("ada",), ("ada", "cyd"))
        put_back(shop, backup)
    assert reused_ids(received(receiver)) == []
    assert len({message["messageId"] for message in received(receiver)}) == len(received(receiver)) == 4 + 3 * 2


def test_a_resync_of_a_restored_store_reaches_a_receiver_that_drops_repeats(shop: Project, receiver: Receiver) -> None:
    """The backup has pending calls whose ids the receiver has seen: after them it was sent something else."""
    go_on(shop, ("ada", "bob"))
    receiver.will_answer(DOWN)
    shop.write_members("vip.csv", "ada")
    assert shop.sync().code != 0
    backup = back_up(shop)
    receiver.will_answer(ACCEPTED)
    go_on(shop, ("ada",), ("ada", "bob"))
    put_back(shop, backup)
    go_on(shop, ("ada",))
    assert shop.run("resync").code == 0
    assert reused_ids(received(receiver)) == []
    assert believed(received(receiver)) == {"ada": {"vip": True}, "bob": {"vip": False}}


def test_a_resync_reaches_a_destination_that_the_restored_store_does_not_know(
    shop: Project, receiver: Receiver, other_receiver: Receiver
) -> None:
    go_on(shop, ("ada", "bob"))
    backup = back_up(shop)
    both = {"segment": segment(receiver, **ONE_BY_ONE), "late": segment(other_receiver, **ONE_BY_ONE)}
    shop.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}], destinations=both)
    go_on(shop, ("ada", "bob"), ("ada",))
    put_back(shop, backup)
    shop.write_members("vip.csv", "ada", "bob")
    assert shop.run("resync").code == 0
    assert believed(received(other_receiver)) == {"ada": {"vip": True}, "bob": {"vip": True}}


def test_a_resync_of_a_backup_of_between_commit_and_delivery_has_new_message_ids(
    shop: Project, receiver: Receiver
) -> None:
    receiver.will_answer(DOWN)
    shop.sync()
    shop.query("update delivery_cursors set attempted_run = null")
    backup = back_up(shop)
    receiver.will_answer(ACCEPTED)
    go_on(shop, ("ada", "bob", "cyd"), ("ada",))
    put_back(shop, backup)
    shop.write_members("vip.csv", "ada", "bob", "cyd")
    assert shop.run("resync").code == 0
    assert believed(received(receiver)) == {"ada": {"vip": True}, "bob": {"vip": True}, "cyd": {"vip": True}}


def test_two_copies_of_a_store_that_both_go_on_share_no_message_id(
    shop: Project, receiver: Receiver, tmp_path: Path
) -> None:
    go_on(shop, ("ada", "bob"))
    assert shop.run("db", "copy", f"sqlite:///{tmp_path}/copy.db").code == 0
    receiver.requests.clear()
    go_on(shop, ("ada",))
    shutil.copy(tmp_path / "copy.db", shop.store)
    go_on(shop, ("ada",))
    messages = received(receiver)
    assert [(message["userId"], message["traits"]) for message in messages] == [("bob", {"vip": False})] * 2
    assert len({message["messageId"] for message in messages}) == 2


def test_events_and_computed_traits_of_a_restored_store_have_new_message_ids(shop: Project, receiver: Receiver) -> None:
    shop.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["plan"]}],
        destinations={"segment": segment(receiver, events=True)},
    )
    shop.write("traits.csv", "user_id,plan\nada,free\n")
    go_on(shop, ("ada",))
    backup = back_up(shop)
    receiver.requests.clear()
    for _ in range(2):
        shop.write("traits.csv", "user_id,plan\nada,paid\n")
        go_on(shop, ("bob",))
        put_back(shop, backup)
    messages = received(receiver)
    assert {message["type"] for message in messages} == {"identify", "track"}
    assert len({message["messageId"] for message in messages}) == len(messages) == 8


def test_a_repeat_after_a_lost_answer_keeps_its_message_id(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(DOWN)
    shop.sync()
    first = {message["userId"]: message["messageId"] for message in received(receiver)}
    receiver.will_answer(ACCEPTED)
    receiver.requests.clear()
    shop.sync()
    again = {message["userId"]: message["messageId"] for message in received(receiver)}
    assert first
    assert {user: again[user] for user in first} == first


def test_calls_of_a_run_before_the_upgrade_keep_their_message_ids(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(DOWN)
    shop.sync()
    shop.query("update runs set nonce = null")
    receiver.will_answer(ACCEPTED)
    receiver.requests.clear()
    shop.sync()
    ((installation,),) = shop.query("select uuid from installation")
    change = "\0".join((installation, "segment", "ada", '{"vip":true}', "vip@1"))
    ids = {message["userId"]: message["messageId"] for message in received(receiver)}
    assert ids["ada"] == hashlib.sha1(change.encode()).hexdigest()[:32]
