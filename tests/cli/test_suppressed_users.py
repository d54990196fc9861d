"""A suppressed user is never sent anything, an erased one is gone, and nothing is lost when they return."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from destinations.receiver import Receiver

from .conftest import ACCEPTED, SILENCE, Project, calls, segment

AUDIENCE = {"name": "VIP", "source": "shop", "file": "vip.csv"}
LIST = {"source": "shop", "file": "do_not_contact.csv", "user_id": "user_id"}
LOOSE = {"max_removed": "100%", "max_added": "100000%"}


@pytest.fixture
def shop(vip: Project) -> Project:
    vip.configure(audiences=[AUDIENCE], guard=LOOSE)
    vip.write_members("vip.csv", "ada", "bob", "cyd")
    return vip


class TestSuppress:
    def test_sends_nothing_to_the_user_not_even_false(self, shop: Project) -> None:
        assert shop.run("suppress", "bob").code == 0
        first = shop.sync()
        assert first.code == 0
        assert (first.destination("log")["calls"], first.destination("log")["withheld"]) == (2, 1)
        assert shop.sent() == [("ada", {"vip": True}), ("cyd", {"vip": True})]
        shop.write_members("vip.csv", "ada")
        assert shop.sync().code == 0
        assert shop.sent() == [("cyd", {"vip": False})]

    def test_a_former_member_gets_the_false_when_the_suppression_ends(self, shop: Project) -> None:
        shop.sync()
        shop.sent()
        shop.run("suppress", "bob")
        shop.write_members("vip.csv", "ada", "cyd")
        shop.sync()
        assert shop.sent() == []
        assert shop.run("unsuppress", "bob").code == 0
        again = shop.sync()
        assert (again.code, shop.sent()) == (0, [("bob", {"vip": False})])
        shop.sync()
        assert shop.sent() == []

    def test_sends_the_newest_values_after_it_was_lifted(self, shop: Project) -> None:
        shop.run("suppress", "bob")
        shop.sync()
        for members in (("ada",), ("ada", "bob"), ("ada",), ("ada", "bob")):
            shop.write_members("vip.csv", *members)
            shop.sync()
        shop.sent()
        shop.run("unsuppress", "bob")
        shop.sync()
        assert shop.sent() == [("bob", {"vip": True})]
        assert shop.query("select count(*) from withheld_values") == [(0,)]

    def test_takes_ids_from_stdin(self, shop: Project) -> None:
        command = [sys.executable, "-m", "audience_sync", "suppress", "-"]
        subprocess.run(command, cwd=shop.folder, input=b"ada\nbob\n\n", check=True, capture_output=True)
        shop.sync()
        assert shop.sent() == [("cyd", {"vip": True})]

    def test_takes_a_refused_call_off_the_list_and_keeps_what_it_carried(
        self, shop: Project, receiver: Receiver
    ) -> None:
        from destinations.receiver import Reply

        shop.configure(audiences=[AUDIENCE], destinations={"segment": segment(receiver)})
        receiver.will_answer(Reply(400, b'{"message": "no"}'))
        assert shop.sync().code == 1
        shop.run("suppress", "ada", "bob", "cyd")
        receiver.will_answer(ACCEPTED)
        receiver.requests.clear()
        assert (shop.sync().code, shop.run("retry").code) == (0, 0)
        assert receiver.requests == []
        shop.run("unsuppress", "bob")
        assert shop.sync().code == 0
        assert calls(receiver) == [("bob", {"vip": True})]

    def test_reaches_a_run_that_is_at_work(self, shop: Project, receiver: Receiver) -> None:
        """The first call is on its way when two users are suppressed: the next requests leave them out."""
        patient = segment(receiver, batch_size=1, concurrency=1, timeout="3s")
        shop.configure(audiences=[AUDIENCE], destinations={"segment": patient})
        receiver.will_answer(SILENCE, ACCEPTED)
        running = shop.start("sync")
        while not receiver.requests:
            time.sleep(0.05)
        assert shop.run("suppress", "bob", "cyd").code == 0
        assert running.wait(60) == 0
        assert {user for user, _ in calls(receiver)} == {"ada"}
        (row,) = shop.query("select calls, delivered, refused, pending from deliveries")
        assert row == (1, 1, 0, 0)
        shop.run("unsuppress", "bob", "cyd")
        receiver.requests.clear()
        shop.sync()
        assert [user for user, _ in calls(receiver)] == ["bob", "cyd"]

    def test_is_shown_by_no_test_call(self, shop: Project) -> None:
        shop.sync()
        shop.sent()
        shop.run("suppress", "bob")
        refused = shop.run("test-destination", "log", "--user", "bob")
        assert refused.code == 2
        assert "suppressed" in refused.stderr
        assert shop.sent() == []

    def test_holds_for_a_destination_that_is_added_later_and_for_resync(self, shop: Project) -> None:
        shop.sync()
        shop.run("suppress", "bob")
        log, more = {"type": "file", "path": "calls.jsonl"}, {"type": "file", "path": "more.jsonl"}
        shop.configure(audiences=[AUDIENCE], guard=LOOSE, destinations={"log": log, "more": more})
        shop.sync()
        shop.run("resync")
        assert {user for user, _ in shop.sent("more.jsonl")} == {"ada", "cyd"}


class TestAListInTheConfig:
    @pytest.fixture(autouse=True)
    def listed(self, shop: Project) -> None:
        shop.configure(audiences=[AUDIENCE], guard=LOOSE, suppressed=[LIST])
        shop.write_members("do_not_contact.csv", "bob", "zed")

    def test_is_read_anew_in_each_run(self, shop: Project) -> None:
        shop.sync()
        assert [user for user, _ in shop.sent()] == ["ada", "cyd"]
        shop.write_members("do_not_contact.csv", "zed")
        shop.sync()
        assert shop.sent() == [("bob", {"vip": True})]

    def test_that_cannot_be_read_stops_all_sending_and_loses_nothing(self, shop: Project) -> None:
        (shop.folder / "do_not_contact.csv").unlink()
        failed = shop.sync()
        assert failed.code == 3
        assert failed.destination("log")["pending"] == 3
        assert "suppressed users can't be read" in failed.json["errors"][0]
        assert shop.sent() == []
        shop.write_members("do_not_contact.csv", "bob", "zed")
        assert shop.sync().code == 0
        assert [user for user, _ in shop.sent()] == ["ada", "cyd"]

    def test_that_is_suddenly_empty_takes_nobody_off(self, shop: Project) -> None:
        shop.sync()
        shop.sent()
        shop.write_members("do_not_contact.csv")
        held = shop.sync()
        assert (held.code, shop.sent()) == (4, [])
        assert "audience-sync approve 2 suppressed" in held.json["held"][0]
        assert shop.sync("--accept", "suppressed").code == 0
        assert shop.sent() == [("bob", {"vip": True})]

    def test_keeps_a_user_suppressed_whom_a_person_lets_go(self, shop: Project) -> None:
        shop.sync()
        shop.sent()
        assert "still on a list" in shop.run("unsuppress", "bob").stdout
        shop.sync()
        assert shop.sent() == []


class TestErase:
    def _bytes(self, folder: Path) -> bytes:
        return b"".join(path.read_bytes() for path in folder.glob("audience_sync.db*"))

    def test_leaves_no_trace_in_the_store_and_does_not_let_the_user_come_back(self, shop: Project) -> None:
        name = "somebody-unmistakable"
        shop.configure(
            audiences=[AUDIENCE],
            guard=LOOSE,
            computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["plan"]}],
        )
        shop.write("traits.csv", f"user_id,plan\nada,gold\n{name},silver\n")
        for members in (("ada", name), ("ada",), ("ada", name)):
            shop.write_members("vip.csv", *members)
            shop.sync()
        shop.sent()
        assert name.encode() in self._bytes(shop.folder)
        before = shop.run("members", "vip").stdout
        assert name in before
        assert shop.run("erase", name).code == 0
        assert name.encode() not in self._bytes(shop.folder)
        assert name not in shop.run("members", "vip").stdout
        assert shop.sync().code == 0
        assert shop.sync().audience("vip")["members"] == 1
        assert shop.sent() == []
        assert name.encode() not in self._bytes(shop.folder)

    def test_of_a_user_on_whom_an_unfinished_delivery_ended_sends_nobody_else_less(
        self, shop: Project, receiver: Receiver
    ) -> None:
        users = [f"user-{number}" for number in range(6)]
        shop.configure(
            audiences=[{**AUDIENCE, "initial": "manual"}],
            destinations={"segment": segment(receiver, batch_size=1, concurrency=1)},
        )
        shop.write_members("vip.csv", *users)
        receiver.will_answer(ACCEPTED)
        shop.run("seed", "vip", "--limit", "3")
        assert shop.run("erase", "user-2").code == 0
        assert shop.query("select count(*) from delivered_ranges where 'user-2' in (after_user, through_user)") == [
            (0,)
        ]
        assert shop.run("seed", "vip").code == 0
        sent = [user for user, _ in calls(receiver)]
        assert sorted(sent) == users

    def test_can_be_taken_back_with_the_user_created_anew(self, shop: Project) -> None:
        shop.sync()
        shop.sent()
        shop.run("erase", "bob")
        shop.sync()
        assert shop.run("unsuppress", "bob").code == 0
        shop.sync()
        assert shop.sent() == [("bob", {"vip": True})]

    def test_of_many_users_keeps_the_rest(self, shop: Project) -> None:
        users = [f"user-{number:03}" for number in range(300)]
        shop.write_members("vip.csv", *users)
        shop.sync()
        assert shop.run("erase", *users[::2]).code == 0
        again = shop.sync()
        assert (again.code, again.audience("vip")["members"]) == (0, 150)
        listed = shop.run("members", "vip").stdout.splitlines()
        assert [line.partition(",")[0] for line in listed if line.startswith("user-")] == users[1::2]
