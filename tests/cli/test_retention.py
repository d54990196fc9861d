"""A store answers what it can after `retention` has deleted the rest."""

from __future__ import annotations

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, calls, segment

AUDIENCE = {"name": "VIP", "source": "shop", "file": "vip.csv"}
YEAR = "365d"


def keep(project: Project, retention: object, **parts: object) -> None:
    project.configure(audiences=[AUDIENCE], retention=retention, **parts)


def sync_with(project: Project, *users: str) -> int:
    """The audience is these users now, two years after the runs that grew old."""
    project.write_members("vip.csv", *users)
    return project.sync("--accept-clock").code


def grow_old(project: Project, through: int) -> None:
    """Runs up to this one were two years ago, a day apart."""
    moment = "strftime('%Y-%m-%d %H:%M:%f000', started_at, '-2 years', (id - 10) || ' days')"
    project.query(f"update runs set started_at = {moment} where id <= {through}")


def started(project: Project, run: int) -> str:
    return str(project.query(f"select strftime('%Y-%m-%dT%H:%M:%fZ', started_at) from runs where id = {run}")[0][0])


@pytest.fixture
def old(vip: Project) -> Project:
    """Ada stayed; bob left in run 2, came back in run 3 and left in run 4; cyd left in run 2; dan came in run 5. All
    that was two years ago, when everything was kept."""
    for users in (["ada", "bob", "cyd"], ["ada"], ["ada", "bob"], ["ada"], ["ada", "dan"]):
        assert sync_with(vip, *users) == 0
    grow_old(vip, 5)
    keep(vip, YEAR)
    return vip


def test_nothing_goes_unless_it_is_wanted(old: Project) -> None:
    old.configure(audiences=[AUDIENCE])
    old.sync("--accept-clock")
    assert old.query("select count(*) from changes") == [(5,)]
    assert old.query("select count(*) from pruned_history") == [(0,)]


def test_counts_that_are_gone_are_unknown_and_not_zero(old: Project) -> None:
    sync_with(old, "ada", "dan", "eve")
    columns = "audiences, entered, delivered, pending, held"
    assert old.query(f"select {columns} from sync_runs where run in (1, 5, 6) order by run") == [
        *[(None,) * 5] * 2,
        (1, 1, 1, 0, 0),
    ]
    rows = old.run("history", "--json").json["runs"]
    assert [each["entered"] for each in rows] == [1, None, None, None, None, None]
    assert old.run("history").code == 0


def test_what_is_so_stays_and_what_was_goes(old: Project) -> None:
    assert sync_with(old, "ada", "dan", "eve") == 0
    assert old.query("select run, user_id, change from membership_changes order by run, user_id") == [
        (2, "cyd", "left"),
        (4, "bob", "left"),
        (5, "dan", "entered"),
        (6, "eve", "entered"),
    ]
    assert old.query("select user_id from audience_members order by user_id") == [("ada",), ("dan",), ("eve",)]
    assert old.query("select distinct run_id from delivery_requests") == [(6,)]
    assert old.query("select run from audience_syncs union select run from deliveries") == [(6,)]
    assert old.query("select count(*) from sync_runs") == [(6,)]


def test_the_receivers_hear_no_word_more_or_less(old: Project) -> None:
    old.sent()
    sync_with(old, "ada", "dan", "eve")
    assert old.sent() == [("eve", {"vip": True})]
    sync_with(old, "bob", "dan")
    assert old.sent() == [("ada", {"vip": False}), ("bob", {"vip": True}), ("eve", {"vip": False})]


def test_a_resync_still_reaches_every_user_who_was_ever_sent(old: Project) -> None:
    sync_with(old, "ada", "dan")
    old.sent()
    old.run("resync")
    sent = {"ada": True, "bob": False, "cyd": False, "dan": True}
    assert old.sent() == [(user, {"vip": value}) for user, value in sent.items()]


def test_a_past_time_is_answered_as_far_back_as_all_is_kept(old: Project) -> None:
    fifth, fourth = started(old, 5), started(old, 4)
    sync_with(old, "ada", "dan", "eve")
    assert [line.split(",")[0] for line in old.run("members", "vip", "--at", fifth).stdout.split()[1:]] == [
        "ada",
        "dan",
    ]
    refused = old.run("members", "vip", "--at", fourth)
    assert refused.code == 2
    assert "was deleted by `retention`. Use that time or a later one." in refused.stderr
    assert "(run 5)" in refused.stderr
    assert old.run("explain", "bob", "--at", fourth).code == 2
    assert old.run("explain", "bob", "--at", fifth).code == 0


def test_explain_says_what_is_so_since_when_and_what_it_no_longer_knows(old: Project) -> None:
    sync_with(old, "ada", "dan", "eve")
    answer = old.run("explain", "bob", "--json").json
    (audience,) = answer["audiences"]
    assert (audience["value"], audience["run"]) == (False, 4)
    assert [(each["value"], each.get("value_kept", True), each["run"]) for each in audience["history"]] == [
        (None, False, 1),
        (False, True, 4),
    ]
    (line,) = answer["destinations"][0]["properties"]
    assert (line["state"], line["sent"]) == ("sent", None)
    assert answer["requests_kept_after_run"] == 5
    sent = old.run("explain", "bob").stdout
    assert "Calls of the runs up to 5 are no longer stored (`retention`)." in sent
    assert old.run("explain", "eve", "--json").json["destinations"][0]["properties"][0]["sent"]["run"] == 6


def test_show_says_what_is_no_longer_kept_of_a_run(old: Project) -> None:
    sync_with(old, "ada", "dan", "eve")
    assert old.run("show", "3", "--json").json["no_longer_kept"] == ["changes", "requests", "invalid_rows", "runs"]
    assert "No longer stored (`retention`): changes that later ones replaced, requests, invalid rows" in (
        old.run("show", "3").stdout
    )
    assert old.run("show", "6", "--json").json["no_longer_kept"] == []


def test_each_part_of_the_history_has_its_own_age(old: Project) -> None:
    keep(old, {"requests": YEAR, "invalid_rows": "30d"})
    sync_with(old, "ada", "dan", "eve")
    assert old.query("select count(*) from changes") == [(6,)]
    assert old.query("select distinct run_id from delivery_requests") == [(6,)]
    assert old.query("select count(distinct run) from audience_syncs") == [(6,)]
    assert old.run("members", "vip", "--at", started(old, 3)).code == 0


def test_pending_changes_keep_the_history_that_they_need(vip: Project, receiver: Receiver) -> None:
    destinations = {"segment": segment(receiver, give_up_after="1s")}
    vip.configure(audiences=[AUDIENCE], destinations=destinations)
    assert sync_with(vip, "ada", "bob") == 0
    receiver.will_answer(Reply(status=401))
    assert sync_with(vip, "ada") == 3
    assert sync_with(vip, "ada", "bob") == 3
    assert sync_with(vip, "ada") == 3
    grow_old(vip, 4)
    keep(vip, YEAR, destinations=destinations)
    assert sync_with(vip, "ada") == 3
    assert vip.query("select count(*) from changes") == [(3,)]
    receiver.will_answer(ACCEPTED)
    receiver.requests.clear()
    assert vip.sync("--accept-clock").code == 0
    assert calls(receiver) == [("bob", {"vip": False})]
    vip.sync()
    assert vip.query("select run_id, user_id from changes") == [(4, "bob")]


def test_a_refused_call_keeps_its_reason(vip: Project, receiver: Receiver) -> None:
    destinations = {"segment": segment(receiver)}
    vip.configure(audiences=[AUDIENCE], destinations=destinations)
    receiver.will_answer(Reply(status=400, body=b'{"success": false, "error": {"message": "no"}}'))
    assert sync_with(vip, "bob") == 1
    receiver.will_answer(ACCEPTED)
    grow_old(vip, 1)
    keep(vip, YEAR, destinations=destinations)
    sync_with(vip, "ada", "bob")
    (line,) = vip.run("explain", "bob", "--json").json["destinations"][0]["properties"]
    assert (line["state"], line["due"]["value"]) == ("refused", True)
    assert vip.run("retry").code == 0
    (line,) = vip.run("explain", "bob", "--json").json["destinations"][0]["properties"]
    assert line["state"] == "sent"


def test_a_refusal_of_the_past_goes_with_its_request_and_an_open_one_stays(vip: Project, receiver: Receiver) -> None:
    destinations = {"segment": segment(receiver, batch_size=1, concurrency=1)}
    receiver.will_answer(Reply(400, b'{"message": "no such profile"}'))
    vip.configure(audiences=[AUDIENCE], destinations=destinations)
    assert sync_with(vip, "ada", "bob") == 1
    receiver.will_answer(ACCEPTED)
    assert sync_with(vip, "bob") == 1
    refused = "select user_id, outcome from refusals order by user_id"
    assert vip.query(refused) == [("ada", "accepted"), ("bob", "refused")]
    grow_old(vip, 2)
    keep(vip, YEAR, destinations=destinations)
    sync_with(vip, "bob")
    assert vip.query(refused) == [("bob", "refused")]


def test_a_duration_that_is_none_is_refused_before_anything_happens(vip: Project) -> None:
    keep(vip, "a year")
    refused = vip.sync()
    assert refused.code == 2
    assert "retention" in refused.json["problems"][0]["path"]
    assert "400d" in refused.stdout or "2d" in refused.stdout
