"""`explain` shows one user: values, what each destination was sent and answered, and what is pending."""

from __future__ import annotations

from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, segment

REFUSED = Reply(400, b'{"message": "no such profile"}')
DOWN = Reply(503, b"")
VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
PLAN = {"source": "shop", "file": "traits.csv", "traits": ["plan"]}
LOG = {"type": "file", "path": "calls.jsonl"}


def explained(project: Project, user: str, *arguments: str) -> Any:
    return project.run("explain", user, "--json", *arguments).json


def states(found: Any, destination: str = "log") -> dict[str, str]:
    return {each["key"]: each["state"] for each in _at(found, destination)["properties"]}


def sent(found: Any, destination: str = "log") -> dict[str, tuple[Any, int, int | None]]:
    """By key: the value that was sent last, in which run, and the status of the answer."""
    return {
        each["key"]: (each["sent"]["value"], each["sent"]["run"], each["sent"]["http_status"])
        for each in _at(found, destination)["properties"]
        if each["sent"]
    }


def calls(found: Any, destination: str = "log") -> list[tuple[int, str, dict[str, Any]]]:
    """The run, what became of it, and what it carried."""
    return [(each["run"], each["outcome"], each["properties"]) for each in _at(found, destination)["calls"]]


def _at(found: Any, destination: str) -> Any:
    return next(each for each in found["destinations"] if each["name"] == destination)


def values(found: Any) -> dict[str, tuple[Any, int]]:
    """By key: the value, and the run that brought it."""
    return {each["key"]: (each["value"], each["run"]) for each in found["audiences"] + found["computed_traits"]}


class TestAudiencesAndTraits:
    def test_have_a_value_since_a_run_and_its_snapshot(self, vip: Project) -> None:
        vip.configure(audiences=[VIP, {"name": "Test", "source": "shop", "file": "test.csv"}], computed_traits=[PLAN])
        vip.write("traits.csv", "user_id,plan\nada,pro\nbob,free\n")
        vip.write_members("test.csv", "zed")
        vip.sync()
        vip.write_members("vip.csv", "bob", "cyd")
        vip.sync()
        vip.query("update runs set started_at = '2026-01-15 12:00:00.000000' where id = 1")
        vip.query("update runs set started_at = '2026-02-15 12:00:00.000000' where id = 2")

        (left,) = explained(vip, "ada")["audiences"]
        assert (left["key"], left["value"], left["run"], left["since"]) == ("vip", False, 2, "2026-02-15T12:00:00Z")
        assert left["snapshot"] == {
            "members": 2, "entered": 0, "left": 1, "invalid": 0, "loaded_from": "vip.csv of shop"
        }  # fmt: skip
        assert [(each["value"], each["run"]) for each in left["history"]] == [(True, 1), (False, 2)]
        bob = explained(vip, "bob")
        assert values(bob) == {"vip": (True, 1), "plan": ("free", 1)}
        assert bob["audiences"][0]["confirmed"] == {"run": 2, "at": "2026-02-15T12:00:00Z"}
        assert bob["computed_traits"][0]["snapshot"] == {"users": 2, "changed": 2, "loaded_from": "traits.csv of shop"}
        assert bob["never_in"] == ["test"]

    def test_are_as_they_were_at_a_past_time(self, vip: Project) -> None:
        """Also what has long been folded into newer snapshots."""
        vip.configure(audiences=[VIP], computed_traits=[PLAN], members_table=False)
        for day in range(1, 16):
            vip.write_members("vip.csv", "bob", *(["ada"] if day % 2 else []))
            vip.write("traits.csv", f"user_id,plan\nada,plan-{day}\nbob,free\n")
            assert vip.sync().code == 0
            vip.query(f"update runs set started_at = '2026-01-{day:02} 06:00:00.000000' where id = {day}")
            vip.query(
                f"update delivery_requests set answered_at = '2026-01-{day:02} 06:00:01.000000' where run_id = {day}"
            )
        vip.query("update delivery_destinations set created_at = '2026-01-01 06:00:00.000000'")
        first = explained(vip, "ada", "--at", "2026-01-01T06:00:30")
        assert values(first) == {"vip": (True, 1), "plan": ("plan-1", 1)}
        assert sent(first) == {"vip": (True, 1, None), "plan": ("plan-1", 1, None)}
        fourth = explained(vip, "ada", "--at", "2026-01-04T12:00")
        assert values(fourth) == {"vip": (False, 4), "plan": ("plan-4", 4)}
        assert sent(fourth) == {"vip": (False, 4, None), "plan": ("plan-4", 4, None)}
        assert values(explained(vip, "ada")) == {"vip": (True, 15), "plan": ("plan-15", 15)}
        assert values(explained(vip, "bob")) == {"vip": (True, 1), "plan": ("free", 1)}
        assert not explained(vip, "ada", "--at", "2025-12-31")["known"]

    def test_of_one_entry_with_many_names_are_distinguished(self, vip: Project) -> None:
        vip.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "all.csv"}])
        vip.write("all.csv", "user_id,audience\nada,Big Spenders\nbob,Churn Risk\n")
        vip.sync()
        ada = explained(vip, "ada")
        assert (values(ada), ada["never_in"]) == ({"big_spenders": (True, 1)}, ["churn_risk"])

    def test_keep_their_key_when_they_are_renamed_and_their_place_when_they_move(self, vip: Project) -> None:
        vip.sync()
        vip.configure(audiences=[{**VIP, "name": "Very Important", "key": "vip", "file": "moved.csv"}])
        vip.write_members("moved.csv", "ada", "bob", "cyd", "dan")
        vip.sync()
        (ada,), (dan,) = (explained(vip, user)["audiences"] for user in ("ada", "dan"))
        assert (ada["key"], ada["name"], ada["run"]) == ("vip", "Very Important", 1)
        assert ada["snapshot"]["loaded_from"] is None  # not known any more; never a wrong one
        assert (dan["run"], dan["snapshot"]["loaded_from"]) == (2, "moved.csv of shop")

    def test_whose_last_snapshot_was_not_taken_say_so(self, vip: Project) -> None:
        vip.sync()
        vip.write_members("vip.csv")
        assert vip.sync().code == 4
        (ada,) = explained(vip, "ada")["audiences"]
        assert (ada["value"], ada["confirmed"]["run"]) == (True, 1)
        assert ada["problem"].startswith("held in run 2: audience 'vip' is held: the new snapshot is empty")
        assert "vip: held in run 2: the new snapshot is empty" in vip.run("explain", "ada").stdout

    def test_that_are_held_say_so(self, vip: Project) -> None:
        vip.configure(audiences=[VIP], computed_traits=[PLAN])
        vip.write("traits.csv", "user_id,plan\nada,pro\n")
        vip.sync()
        vip.query(
            "insert into held_snapshots (kind, key, run_id, last_run_id, status, reason, together, members_before, "
            "entered, \"left\", held_at) values ('computed_trait', 'plan', 1, 1, 'held', 'all values would go', 0, "
            "1, 0, 1, '2026-01-15 12:00:00.000000')"
        )
        (plan,) = explained(vip, "ada")["computed_traits"]
        assert (plan["value"], plan["problem"]) == ("pro", "held since run 1: all values would go")
        assert "plan: held since run 1: all values would go" in vip.run("explain", "ada").stdout


class TestADestination:
    def test_is_sent_in_a_request_and_answers(self, vip: Project, receiver: Receiver) -> None:
        vip.configure(audiences=[VIP], destinations={"segment": segment(receiver), "log": LOG})
        vip.sync()
        vip.write_members("vip.csv", "ada")
        vip.sync()
        bob = explained(vip, "bob")
        assert sent(bob, "segment") == {"vip": (False, 2, 200)}
        assert sent(bob) == {"vip": (False, 2, None)}
        assert calls(bob, "segment") == [(1, "delivered", {"vip": True}), (2, "delivered", {"vip": False})]
        requests = dict(vip.query("select id, run_id from delivery_requests"))
        assert [requests[call["request"]] for call in _at(bob, "segment")["calls"]] == [1, 2]

    def test_whose_requests_are_no_longer_kept_still_counts_as_sent(self, vip: Project) -> None:
        vip.sync()
        vip.query("delete from delivery_requests")
        ada = explained(vip, "ada")
        assert (states(ada), sent(ada), calls(ada)) == ({"vip": "sent"}, {}, [])
        assert "Accepted  vip: the request is no longer stored" in vip.run("explain", "ada").stdout

    def test_that_refuses_is_quoted_until_it_takes_the_call(self, vip: Project, receiver: Receiver) -> None:
        receiver.will_answer(ACCEPTED, REFUSED, ACCEPTED)
        vip.configure(audiences=[VIP], destinations={"segment": segment(receiver, batch_size=1, concurrency=1)})
        assert vip.sync().code == 1
        bob = explained(vip, "bob")
        assert (states(bob, "segment"), sent(bob, "segment")) == ({"vip": "refused"}, {})
        refusal = _at(bob, "segment")["refusal"]
        assert (refusal["run"], refusal["http_status"], refusal["attempts"]) == (1, 400, 1)
        assert "no such profile" in refusal["answer"]
        assert states(explained(vip, "ada"), "segment") == {"vip": "sent"}
        said = vip.run("explain", "bob").stdout
        assert "Refused by segment.\n" in said
        assert "segment (segment): 1 property refused, none accepted\n" in said
        assert " UTC, refused 1 time\n" in said
        assert "    audience-sync retry --destination segment\n" in said

        assert vip.run("retry").code == 0
        bob = explained(vip, "bob")
        assert states(bob, "segment") == {"vip": "sent"}
        assert _at(bob, "segment")["refusal"] is None
        assert calls(bob, "segment") == [(1, "refused", {"vip": True}), (2, "delivered", {"vip": True})]

    def test_that_is_down_has_pending_calls(self, vip: Project, receiver: Receiver) -> None:
        receiver.will_answer(ACCEPTED, DOWN)
        vip.configure(audiences=[VIP], destinations={"segment": segment(receiver, give_up_after="200ms"), "log": LOG})
        vip.sync()
        vip.write_members("vip.csv", "ada", "bob")
        vip.sync()
        cyd = explained(vip, "cyd")
        (line,) = _at(cyd, "segment")["properties"]
        assert (line["state"], line["sent"]["value"]) == ("pending", True)
        assert line["due"] == {"value": False, "since_run": 2}
        assert (states(cyd), states(explained(vip, "ada"), "segment")) == ({"vip": "sent"}, {"vip": "sent"})
        assert "  Reason   run 2 left 1 call pending: no progress" in vip.run("explain", "cyd").stdout
        receiver.will_answer(ACCEPTED)
        assert vip.sync().code == 0
        assert sent(explained(vip, "cyd"), "segment") == {"vip": (False, 3, 200)}

    def test_is_sent_what_the_config_names_for_it(self, vip: Project) -> None:
        other = {"type": "file", "path": "other.jsonl"}
        audiences = [
            {**VIP, "destinations": ["log"]},
            {"name": "Base", "source": "shop", "file": "vip.csv", "initial": "none"},
        ]
        vip.configure(audiences=audiences, destinations={"log": LOG, "other": other})
        vip.sync()
        ada = explained(vip, "ada")
        assert states(ada, "other") == {"base": "baseline", "vip": "not_subscribed"}
        assert states(ada) == {"base": "baseline", "vip": "sent"}

        vip.configure(audiences=[{**VIP, "destinations": ["other"]}], destinations={"log": LOG, "other": other})
        vip.sync()
        ada = explained(vip, "ada")
        assert (states(ada), states(ada, "other")["vip"]) == ({"base": "ended", "vip": "ended"}, "sent")

    def test_waits_for_a_seed_that_was_begun(self, vip: Project) -> None:
        vip.configure(audiences=[{**VIP, "initial": "manual"}])
        vip.run("seed", "vip", "--limit", "1")
        assert [states(explained(vip, user)) for user in ("ada", "bob")] == [{"vip": "sent"}, {"vip": "waiting"}]
        vip.sync()
        assert states(explained(vip, "bob")) == {"vip": "waiting"}
        vip.run("seed", "vip")
        assert calls(explained(vip, "bob")) == [(3, "delivered", {"vip": True})]
        vip.write_members("vip.csv", "ada", "cyd")
        vip.sync()
        assert calls(explained(vip, "bob")) == [(3, "delivered", {"vip": True}), (4, "delivered", {"vip": False})]

    def test_is_sent_everything_again_by_resync(self, vip: Project) -> None:
        vip.sync()
        vip.write_members("vip.csv", "ada", "bob")
        vip.sync()
        vip.run("resync", "vip")
        assert calls(explained(vip, "ada")) == [(1, "delivered", {"vip": True}), (3, "delivered", {"vip": True})]
        assert calls(explained(vip, "cyd"))[-1] == (3, "delivered", {"vip": False})

    def test_that_needs_traits_together_is_sent_them_together(self, vip: Project, receiver: Receiver) -> None:
        """A device token means nothing to Zendesk Connect without its type."""
        receiver.will_answer(Reply())
        vip.configure(
            audiences=[],
            computed_traits=[{"source": "shop", "file": "devices.csv", "traits": ["device_token", "device_type"]}],
            destinations={"connect": {"type": "zendesk_connect", "private_key": "k", "url": receiver.url}},
        )
        vip.write("devices.csv", "user_id,device_token,device_type\nada,one,ios\n")
        vip.sync()
        vip.write("devices.csv", "user_id,device_token,device_type\nada,two,ios\n")
        vip.sync()
        ada = explained(vip, "ada")
        assert calls(ada, "connect")[-1] == (2, "delivered", {"device_token": "two", "device_type": "ios"})
        assert sent(ada, "connect") == {"device_token": ("two", 2, 200), "device_type": ("ios", 2, 200)}


class TestAUser:
    def test_who_is_suppressed_has_withheld_values_that_are_sent_later(self, vip: Project) -> None:
        vip.sync()
        vip.run("suppress", "cyd")
        vip.write_members("vip.csv", "ada", "bob")
        vip.sync()
        cyd = explained(vip, "cyd")
        assert (cyd["suppressed"], states(cyd)) == (True, {"vip": "withheld"})
        assert calls(cyd) == [(1, "delivered", {"vip": True}), (2, "withheld", {"vip": False})]
        assert "Suppressed by hand since" in vip.run("explain", "cyd").stdout
        vip.run("unsuppress", "cyd")
        assert states(explained(vip, "cyd")) == {"vip": "pending"}
        vip.sync()
        cyd = explained(vip, "cyd")
        assert (cyd["suppressed"], states(cyd)) == (False, {"vip": "sent"})
        assert calls(cyd)[-1] == (3, "delivered", {"vip": False})
        assert "Was suppressed by hand from" in vip.run("explain", "cyd").stdout

    def test_was_sent_the_same_when_a_neighbour_is_erased(self, vip: Project, receiver: Receiver) -> None:
        """Two requests then end at the same user, in whatever order their answers came."""
        vip.configure(audiences=[VIP], destinations={"segment": segment(receiver, batch_size=1)})
        vip.sync()
        vip.query("update delivery_requests set id = id + 10 where through_user = 'ada'")
        vip.run("erase", "bob")
        ada = vip.run("explain", "ada", "--json").json
        assert [each["properties"] for each in ada["destinations"][0]["calls"]] == [{"vip": True}]

    def test_who_was_erased_is_not_explained(self, vip: Project) -> None:
        vip.sync()
        vip.run("erase", "bob")
        bob = explained(vip, "bob")
        assert bob["erased_at"] is not None
        assert (bob["audiences"], bob["destinations"]) == ([], [])
        assert "User bob was erased on" in vip.run("explain", "bob").stdout
        vip.run("unsuppress", "bob")
        vip.sync()
        assert calls(explained(vip, "bob")) == [(2, "delivered", {"vip": True})]

    @pytest.mark.parametrize("user", ["007", "-7", "zoé", "a b", "O'Brien", '"', "日本", "NULL"])
    def test_has_the_id_that_is_written(self, vip: Project, user: str) -> None:
        vip.write("vip.csv", 'user_id\n"' + user.replace('"', '""') + '"\n7\n')
        vip.sync()
        found = vip.run("explain", "--json", "--", user).json
        assert (found["user_id"], values(found), calls(found)) == (
            user,
            {"vip": (True, 1)},
            [(1, "delivered", {"vip": True})],
        )

    def test_whom_the_store_does_not_know_is_said_to_be_unknown(self, vip: Project) -> None:
        vip.sync()
        nobody = vip.run("explain", "nobody")
        assert (nobody.code, nobody.stdout) == (
            0,
            "There is no user 'nobody' in the store.\nIds are compared exactly as written: 007 and 7 are two users.\n",
        )
        assert not explained(vip, "nobody")["known"]
        assert vip.run("explain", "").code == 2
        assert vip.run("explain", "ada", "--at", "yesterday").code == 2


#: What a store lacks that was made by version 0003 of the schema, and upgraded since.
NOT_RECORDED = (
    "update changes set previous_value = null",
    "update delivery_requests set seeded_property_id = null, position = null, attempted_run = null, retried = null",
    "delete from subscription_history",
    "insert into subscription_history select destination_id, property_id, since_run, since_run, backfill, "
    "null, null, 0, null from subscriptions",
)


def test_a_store_of_an_earlier_version_is_explained_as_far_as_it_kept(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(ACCEPTED, REFUSED)
    vip.configure(
        audiences=[VIP],
        computed_traits=[PLAN],
        destinations={"segment": segment(receiver, batch_size=1, concurrency=1)},
    )
    vip.write("traits.csv", "user_id,plan\nada,pro\n")
    vip.sync()
    receiver.will_answer(ACCEPTED)
    vip.write("traits.csv", "user_id,plan\nada,free\n")
    vip.sync()
    for statement in NOT_RECORDED:
        vip.query(statement)
    ada = explained(vip, "ada")
    assert sent(ada, "segment") == {"vip": (True, 1, 200), "plan": ("free", 2, 200)}
    (plan,) = ada["computed_traits"]
    assert [(each["value"], each.get("value_kept", True)) for each in plan["history"]] == [
        (None, False),
        ("free", True),
    ]
    bob = explained(vip, "bob")
    assert (states(bob, "segment"), _at(bob, "segment")["refusal"]["http_status"]) == ({"vip": "refused"}, 400)
