"""`plan` shows what the next `sync` does, to the call, and changes nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from destinations.receiver import Receiver

from .conftest import Project, Result, received, segment

AUDIENCES = [
    {"name": "VIP", "source": "shop", "file": "vip.csv"},
    {"name": "Later", "source": "shop", "file": "vip.csv", "initial": "manual"},
    {"name": "Quiet", "source": "shop", "file": "vip.csv", "initial": "none"},
]
TRAITS = [{"source": "shop", "file": "traits.csv", "traits": ["plan"]}]
LOG = {"type": "file", "path": "calls.jsonl", "batch_size": 2}
SECOND = {"type": "file", "path": "second.jsonl", "rate_limit": "1/s"}


def forecast(plan: Result) -> list[tuple[str, int, int]]:
    return [(each["name"], each["calls"], each["requests"]) for each in plan.json["destinations"]]


def outcome(sync: Result) -> list[tuple[str, int, int]]:
    return [(each["name"], each["delivered"], each["requests"]) for each in sync.json["destinations"]]


def plan_and_sync(project: Project) -> tuple[Result, Result]:
    plan = project.run("plan", "--json")
    sync = project.sync()
    assert (plan.code, sync.code) == (0, 0)
    assert plan.json["audiences"] == sync.json["audiences"]
    assert plan.json["traits"] == sync.json["traits"]
    assert forecast(plan) == outcome(sync)
    return plan, sync


def test_a_plan_is_what_the_following_sync_does(vip: Project) -> None:
    vip.configure(audiences=AUDIENCES, computed_traits=TRAITS, destinations={"log": LOG})
    vip.write("traits.csv", "user_id,plan\nada,pro\neve,free\n")
    first, _ = plan_and_sync(vip)
    assert forecast(first) == [("log", 4, 2)]
    sent = [("ada", {"plan": "pro", "vip": True}), ("bob", {"vip": True}), ("cyd", {"vip": True})]
    assert [(each["user_id"], each["traits"]) for each in first.json["destinations"][0]["samples"]] == sent
    assert vip.sent() == [*sent, ("eve", {"plan": "free"})]

    vip.write_members("vip.csv", "ada", "bob", "dan")
    vip.write("traits.csv", "user_id,plan\nada,free\neve,free\n")
    vip.configure(audiences=AUDIENCES, computed_traits=TRAITS, destinations={"log": LOG, "second": SECOND})
    second, _ = plan_and_sync(vip)
    assert forecast(second) == [("log", 3, 2), ("second", 4, 1)]
    assert second.destination("second")["seconds_at_rate_limit"] == 1
    assert vip.sent() == [
        ("ada", {"plan": "free"}),
        ("cyd", {"quiet": False, "vip": False}),
        ("dan", {"quiet": True, "vip": True}),
    ]
    assert vip.sent("second.jsonl") == [
        ("ada", {"plan": "free", "vip": True}),
        ("bob", {"vip": True}),
        ("dan", {"vip": True}),
        ("eve", {"plan": "free"}),
    ]

    third, _ = plan_and_sync(vip)
    assert forecast(third) == [("log", 0, 0), ("second", 0, 0)]


def test_a_plan_creates_changes_and_sends_nothing(new_vip: Project) -> None:
    assert "\nlog              3         1     -  calls.jsonl\n" in new_vip.run("plan").stdout
    assert sorted(path.name for path in new_vip.folder.iterdir()) == ["config.yaml", "vip.csv"]
    new_vip.sync()
    new_vip.sent()
    new_vip.write_members("vip.csv", "ada")
    before = new_vip.store.read_bytes()
    planned = new_vip.run("plan")
    assert planned.code == 0
    assert 'bob  {"vip":false}' in planned.stdout
    assert "\n\nTo do this:\n  audience-sync sync\n" in planned.stdout
    assert new_vip.store.read_bytes() == before
    assert new_vip.sent() == []


LONG = "x" * 40_000  # Segment takes no message of more than 32 KB


class TestAForecast:
    def test_counts_requests_as_they_will_be_filled(self, vip: Project, receiver: Receiver) -> None:
        """By bytes, not only by calls."""
        vip.configure(
            audiences=[],
            computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["note"]}],
            destinations={"segment": segment(receiver, rate_limit="10/s")},
        )
        rows = "".join(f"user-{number:02},{'n' * 30_000}\n" for number in range(40))
        vip.write("traits.csv", f"user_id,note\n{rows}")
        plan, _ = plan_and_sync(vip)
        assert forecast(plan) == [("segment", 40, 3)]
        assert plan.destination("segment")["seconds_at_rate_limit"] == 0.3
        assert len(receiver.requests) == 3

    def test_shows_the_first_request_as_it_goes_out(self, vip: Project, receiver: Receiver) -> None:
        key = "a-secret-write-key"
        vip.configure(
            audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
            destinations={"segment": segment(receiver, write_key=key)},
        )
        vip.sync()
        receiver.requests.clear()
        vip.write_members("vip.csv", "dan")
        plan = vip.run("plan", "--json")
        request = plan.destination("segment")["request"]
        assert (request["method"], request["url"]) == ("POST", f"{receiver.url}/v1/batch")
        assert request["headers"]["Authorization"] == "Basic ***"
        shown = vip.run("plan").stdout
        assert key not in plan.stdout + shown
        assert f"  POST {receiver.url}/v1/batch\n" in shown
        vip.sync()
        planned, sent = json.loads(request["body"])["batch"], received(receiver)
        assert [_but_for_id_and_time(each) for each in planned] == [_but_for_id_and_time(each) for each in sent[:3]]

    def test_names_calls_that_can_never_be_sent(self, vip: Project, receiver: Receiver) -> None:
        vip.configure(
            audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
            computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["note"]}],
            destinations={"segment": segment(receiver)},
        )
        vip.write("traits.csv", f"user_id,note\nbob,{LONG}\n")
        plan = vip.run("plan", "--json")
        planned = plan.destination("segment")
        assert (planned["calls"], planned["refused"], planned["requests"]) == (3, 1, 1)
        assert [each["user_id"] for each in planned["refusals"]] == ["bob"]
        assert [each["user_id"] for each in planned["samples"]] == ["ada", "bob", "cyd"]
        assert "1 call to segment can't be sent, and would be refused:\n  bob: " in vip.run("plan").stdout
        sync = vip.sync()
        assert sync.destination("segment")["refused"] == 1
        (refused,) = vip.run("show", "1", "--json").json["refused_calls"]
        assert refused["reason"] == planned["refusals"][0]["reason"]

    @pytest.mark.parametrize(
        ("longs", "missing"),
        [(("u1", "u2"), ("u3", "u4", "u5", "u6")), (("u1",), ("u2", "u3", "u4", "u5", "u6", "u7"))],
    )
    def test_counts_many_calls_that_can_never_be_sent_by_reason(
        self, vip: Project, receiver: Receiver, longs: tuple[str, ...], missing: tuple[str, ...]
    ) -> None:
        vip.configure(
            audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
            computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["note", "email"]}],
            destinations={"segment": segment(receiver, identifiers=["email"])},
        )
        vip.write_members("vip.csv", *longs, *missing)
        vip.write("traits.csv", "user_id,note,email\n" + "".join(f"{user},{LONG},a@example.com\n" for user in longs))
        shown = " ".join(vip.run("plan").stdout.split())
        assert f" {len(missing)} the user has no email, which this destination's `identifiers` need u" in shown
        assert f" {len(longs)} 'note' makes a message of " in shown
        assert "shorten the value at its source. The rest would be sent, without: note u1" in shown

    def test_names_rows_that_cannot_be_used_and_what_is_held(self, vip: Project) -> None:
        vip.sync()
        vip.write("vip.csv", 'user_id\n""\n')
        plan = vip.run("plan", "--json")
        assert plan.code == 4
        assert [(each["row"], each["reason"]) for each in plan.json["invalid_rows"]] == [(1, "empty user id")]
        assert (plan.audience("vip")["status"], plan.destination("log")["calls"]) == ("held", 0)
        shown = vip.run("plan").stdout
        assert "Invalid: 1 row would be left out.\n  vip.csv, row 1: empty user id\n" in shown
        assert (
            "\nHeld: vip\n  Change  3 of 3 members (100%) would leave\n  Reason  the new snapshot is empty\n" in shown
        )

    def test_leaves_suppressed_users_out(self, vip: Project) -> None:
        vip.run("suppress", "bob")
        plan = vip.run("plan", "--json")
        assert (plan.destination("log")["calls"], plan.destination("log")["withheld"]) == (2, 1)
        assert "1 suppressed user would be left out at log." in vip.run("plan").stdout

    def test_of_an_audience_that_waits_is_that_of_its_seed(self, vip: Project) -> None:
        vip.configure(audiences=AUDIENCES, computed_traits=TRAITS, destinations={"log": LOG})
        vip.write("traits.csv", "user_id,plan\nada,pro\n")
        plan = vip.run("plan", "later", "--json")
        assert (forecast(plan), plan.json["command"]) == ([("log", 3, 2)], "audience-sync seed later")
        vip.run("seed", "later", "--limit", "1")
        assert forecast(vip.run("plan", "later", "--json")) == [("log", 2, 1)]
        assert vip.run("plan", "vip", "--json").json["command"] == "audience-sync sync vip"


def test_the_largest_changes_come_first(vip: Project) -> None:
    names = ("few", "many", "none")
    audiences = [{"name": name, "source": "shop", "file": f"{name}.csv"} for name in names]
    vip.configure(audiences=audiences, computed_traits=TRAITS, guard={"max_added": "1000%", "at_least": 100})
    for name in names:
        vip.write_members(f"{name}.csv", "ada", "bob")
    vip.write("traits.csv", "user_id,plan\nada,pro\nbob,free\ncyd,\n")
    first = vip.run("plan", "--json").json["largest_changes"]
    assert [(each["key"], each["kind"], each["users"], each["share"]) for each in first] == [
        ("few", "audience", 2, None),
        ("many", "audience", 2, None),
        ("none", "audience", 2, None),
        ("plan", "computed_trait", 2, None),
    ]
    vip.sync()
    vip.write_members("many.csv", "ada", "cyd", "dan")
    vip.write_members("few.csv", "ada")
    vip.write("traits.csv", "user_id,plan\nada,free\nbob,\n")
    second = vip.run("plan", "--json").json["largest_changes"]
    assert [(each["key"], each["users"], each["share"]) for each in second] == [
        ("many", 3, 1.5),
        ("plan", 2, None),
        ("few", 1, 0.5),
    ]
    shown = vip.run("plan").stdout
    assert "\nfew       synced           1        0     1   50.0%        0\n" in shown
    assert "\nmany      synced           3        2     1  150.0%        0\n" in shown
    assert "Largest changes of computed traits: plan 2 users." in shown


def _but_for_id_and_time(message: dict[str, Any]) -> dict[str, Any]:
    """A run draws a nonce when it begins, and its message ids carry it."""
    return {**message, "messageId": None, "timestamp": None}


class TestASavedPlan:
    def test_is_carried_out_as_it_was_seen_and_once(self, vip: Project) -> None:
        saved = vip.run("plan", "--out", "plan.json")
        assert "To do exactly this, or nothing:\n  audience-sync sync --plan plan.json\n" in saved.stdout
        assert vip.sync("--plan", "plan.json").code == 0
        assert [user for user, _ in vip.sent()] == ["ada", "bob", "cyd"]
        again = vip.sync("--plan", "plan.json")
        assert again.code == 2
        assert "audience vip: planned created: 3 entered, 0 left, now 0 entered, 0 left" in again.stderr
        assert "destination log: planned 3 calls, now 0 calls" in again.stderr
        assert vip.sent() == []
        assert vip.run("history", "--json").json["runs"][0]["status"] == "failed"

    def test_names_no_user_and_holds_no_value(self, vip: Project) -> None:
        vip.configure(audiences=AUDIENCES, computed_traits=TRAITS)
        vip.write("traits.csv", "user_id,plan\nada,pro-plan-of-ada\n")
        vip.run("plan", "--out", "plan.json")
        kept = (vip.folder / "plan.json").read_text("utf-8")
        assert re.findall("ada|bob|cyd|pro-plan", kept) == []

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ("another member", "audience vip: as many as planned (1 entered, 1 left), but other users or values"),
            ("another value", "computed traits: as many as planned (1 user with changes), but other users or values"),
            ("another address", "address of log: planned "),
            ("another list", "lists of suppressed users: planned 0 added, 0 removed, now 1 added, 0 removed"),
            ("another destination", "address of second: planned nothing, now "),
            ("a user suppressed by hand", "destination log: planned 2 calls, now 1 call"),
            ("another run", "destination log: planned 2 calls, now 0 calls"),
        ],
    )
    def test_does_nothing_where_a_run_would_do_anything_else(self, vip: Project, change: str, said: str) -> None:
        quiet = [{"source": "shop", "file": "quiet.csv"}]
        parts: dict[str, Any] = {
            "audiences": [{"name": "VIP", "source": "shop", "file": "vip.csv"}],
            "computed_traits": TRAITS,
            "destinations": {"log": LOG},
            "suppressed": quiet,
        }
        vip.configure(**parts)
        vip.write_members("quiet.csv", "zed")
        vip.write("traits.csv", "user_id,plan\nada,pro\n")
        vip.sync()
        vip.sent()
        vip.write_members("vip.csv", "ada", "bob", "dan")
        vip.write("traits.csv", "user_id,plan\ndan,pro\nada,pro\n")
        vip.run("plan", "--out", "plan.json")
        match change:
            case "another member":
                vip.write_members("vip.csv", "ada", "bob", "eve")
            case "another value":
                vip.write("traits.csv", "user_id,plan\ndan,free\nada,pro\n")
            case "another address":
                vip.configure(**{**parts, "destinations": {"log": {**LOG, "path": "elsewhere.jsonl"}}})
            case "another list":
                vip.write_members("quiet.csv", "zed", "yan")
            case "another destination":
                vip.configure(**{**parts, "destinations": {"log": LOG, "second": SECOND}})
            case "a user suppressed by hand":
                vip.run("suppress", "dan")
            case "another run":
                vip.sync()
                vip.sent()
        before = vip.query("select count(*) from changes")
        refused = vip.sync("--plan", "plan.json")
        assert refused.code == 2
        assert "Nothing was changed or sent. Look again: audience-sync plan" in refused.stderr
        assert said in refused.stderr
        assert vip.sent() == []
        assert vip.query("select count(*) from changes") == before
        assert vip.run("explain", "yan", "--json").json["known"] is False

    def test_lifts_the_guards_and_takes_the_audiences_that_it_was_made_for(self, vip: Project) -> None:
        two = [{"name": name, "source": "shop", "file": f"{name}.csv"} for name in ("vip", "other")]
        vip.configure(audiences=two)
        vip.write_members("other.csv", "ada", "bob")
        vip.sync()
        vip.sent()
        vip.write_members("vip.csv")
        vip.write_members("other.csv", "ada")
        assert vip.run("plan", "vip", "--accept", "vip", "--out", "plan.json").code == 0
        assert vip.sync("--plan", "plan.json").code == 0
        assert vip.sent() == [("ada", {"vip": False}), ("bob", {"vip": False}), ("cyd", {"vip": False})]

    def test_of_a_seed_seeds(self, vip: Project) -> None:
        vip.configure(audiences=AUDIENCES)
        vip.run("plan", "later", "--out", "plan.json")
        assert vip.sync("--plan", "plan.json").code == 0
        assert vip.sent() == [(user, {"later": True}) for user in ("ada", "bob", "cyd")]
        assert vip.query("select command from runs") == [("seed",)]

    def test_of_something_held_holds_it(self, vip: Project) -> None:
        vip.sync()
        vip.write_members("vip.csv")
        assert vip.run("plan", "--out", "plan.json").code == 4
        assert vip.sync("--plan", "plan.json").code == 4
        assert "held: 0 entered, 3 left" in (vip.folder / "plan.json").read_text("utf-8")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "it is not a plan"),
            ("[]", "it is not a plan"),
            ('{"format": 1}', "it is not a plan"),
            ('{"format": 2}', "it is of format 2"),
        ],
    )
    def test_that_is_none_is_refused(self, vip: Project, text: str, said: str) -> None:
        vip.write("plan.json", text)
        refused = vip.sync("--plan", "plan.json")
        assert (refused.code, vip.query("select count(*) from runs")) == (2, [(0,)])
        assert said in refused.stderr

    def test_stands_alone_and_must_be_there(self, vip: Project) -> None:
        vip.run("plan", "--out", "plan.json")
        assert vip.sync("vip", "--plan", "plan.json").code == 2
        assert vip.sync("--accept", "vip", "--plan", "plan.json").code == 2
        assert vip.sync("--plan", "nowhere.json").code == 2
        assert vip.run("plan", "--out", "nowhere/plan.json").code == 2


def test_a_file_that_is_far_too_large_is_no_plan(vip: Project) -> None:
    with (vip.folder / "plan.json").open("wb") as file:
        file.truncate(50_000_001)
    ended = vip.sync("--plan", "plan.json")
    assert ended.code == 2
    assert "larger than 50,000,000 bytes" in ended.stderr
