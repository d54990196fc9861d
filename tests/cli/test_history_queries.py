"""The store answers questions about past runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audience_sync.project.arguments import past_time
from audience_sync.store.maintenance import migrate

from .conftest import Project

DATABASE = (Path(__file__).parents[2] / "docs" / "database.md").read_text("utf-8")
#: Who was in an audience at a past time, by SQL, with the places for the time.
THE_DOCUMENTED_QUERY = (
    re.findall(r"^Who was in an audience at a past time.*?^```sql\n(.*?)```", DATABASE, re.MULTILINE | re.DOTALL)[0]
    .replace("big_spenders", "vip")
    .replace("2026-03-04 12:00:00", "{}")
)


#: Run 1 started a quarter of a second after noon.
MEMBERS_AT = {
    "2026-01-15": [],
    "2026-01-15T11:59:59Z": [],
    "2026-01-15T12:00:00.100Z": [],
    "2026-01-15T12:00:00Z": ["ada", "bob", "cyd"],  # as it is copied from an answer
    "2026-01-15 14:00+02:00": ["ada", "bob", "cyd"],
    "2026-02-15 11:59": ["ada", "bob", "cyd"],
    "2026-01-15T11:59": [],
    "2026-01-15T12:00": ["ada", "bob", "cyd"],  # as ``history`` lists it
    "2026-01-15 13:00+01:00": ["ada", "bob", "cyd"],
    "20260215T1200Z": ["ada", "bob", "dan"],
    "2026-02-15T12:00:00": ["ada", "bob", "dan"],
    "2026-03-01": ["ada", "bob", "cyd", "dan"],
    "2099-01-01": ["bob", "cyd", "dan"],
}


def members_at(project: Project, time: str) -> list[str]:
    return [row.split(",")[0] for row in project.run("members", "vip", "--at", time).stdout.splitlines()[1:]]


def as_sql(time: str) -> str:
    """The moment as SQLite keeps times."""
    return f"{past_time('at', time):%Y-%m-%d %H:%M:%S.%f}"


@pytest.fixture
def synced(vip: Project) -> Project:
    """Ada, bob and cyd were members in January; in February cyd had left and dan had come."""
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob", "dan")
    vip.sync()
    vip.query("update runs set started_at = '2026-01-15 12:00:00.000000' where id = 1")
    vip.query("update runs set started_at = '2026-02-15 12:00:00.000000' where id = 2")
    vip.sent()
    return vip


def test_members_are_listed_now_and_as_of_a_time(synced: Project) -> None:
    assert synced.run("members", "vip").stdout.splitlines() == [
        "user_id,member_since",
        "ada,2026-01-15T12:00:00Z",
        "bob,2026-01-15T12:00:00Z",
        "dan,2026-02-15T12:00:00Z",
    ]
    january = synced.run("members", "vip", "--at", "2026-02-01", "--json").stdout.splitlines()
    assert january == [
        f'{{"user_id": "{user}", "member_since": "2026-01-15T12:00:00Z"}}' for user in ("ada", "bob", "cyd")
    ]
    before = synced.run("members", "vip", "--at", "2026-01-01")
    assert (before.code, before.stdout) == (0, "user_id,member_since\n")


def test_a_past_time_means_what_was_known_then_by_command_and_by_query(synced: Project) -> None:
    synced.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    synced.sync()
    synced.write_members("vip.csv", "bob", "cyd", "dan")
    synced.sync()
    synced.query("update runs set started_at = '2026-01-15 12:00:00.250000' where id = 1")
    synced.query("update runs set started_at = '2026-02-20 12:00:00.000000' where id = 3")
    synced.query("update runs set started_at = '2026-03-20 12:00:00.000000' where id = 4")
    assert {time: members_at(synced, time) for time in MEMBERS_AT} == MEMBERS_AT
    assert {time: synced.query(THE_DOCUMENTED_QUERY.format(as_sql(time))) for time in MEMBERS_AT} == {
        time: [(user,) for user in members] for time, members in MEMBERS_AT.items()
    }


def test_what_is_no_time_is_said(synced: Project) -> None:
    wrong = synced.run("members", "vip", "--at", "yesterday")
    assert wrong.code == 2
    assert (
        "'yesterday' is not a valid time. Examples: 2026-05-01, 2026-05-01T12:00, 2026-05-01T12:00:00Z" in wrong.stderr
    )


def test_history_lists_the_runs_and_what_they_found_of_one_audience(synced: Project) -> None:
    runs = synced.run("history", "--json").json["runs"]
    assert [(run["run"], run["command"], run["entered"], run["left"], run["delivered"]) for run in runs] == [
        (2, "sync", 1, 1, 2),
        (1, "sync", 3, 0, 3),
    ]
    assert [run["run"] for run in synced.run("history", "--limit", "1", "--json").json["runs"]] == [2]
    of_vip = synced.run("history", "vip", "--json").json["runs"]
    assert [(run["run"], run["started_at"], run["members_after"]) for run in of_vip] == [
        (2, "2026-02-15T12:00:00Z", 3),
        (1, "2026-01-15T12:00:00Z", 3),
    ]
    assert "2026-02-15 12:00:00" in synced.run("history").stdout


def test_show_gives_one_run_in_full(synced: Project) -> None:
    run = synced.run("show", "2", "--json").json
    assert (run["run"], run["status"], run["error"]) == (2, "succeeded", None)
    (audience,) = run["audience_syncs"]
    assert (audience["audience_key"], audience["entered"], audience["left"]) == ("vip", 1, 1)
    (delivery,) = run["deliveries"]
    assert (delivery["destination"], delivery["calls"], delivery["delivered"]) == ("log", 2, 2)
    assert (run["refused_calls"], run["invalid_rows"]) == ([], [])


def test_looking_back_before_the_first_run_creates_nothing(new_vip: Project) -> None:
    assert "No runs yet. Start one: audience-sync sync" in new_vip.run("history").stdout
    assert not new_vip.store.exists()


def test_a_store_moves_to_another_database_and_goes_on_there(synced: Project) -> None:
    copied = synced.run("db", "copy", "sqlite:///moved.db")
    assert copied.code == 0
    assert "Counts and checksums match" in copied.stdout
    again = synced.run("db", "copy", "sqlite:///moved.db")
    assert again.code == 3
    assert "Nothing was copied" in again.stderr

    synced.configure(store="sqlite:///moved.db", audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}])
    Path(synced.store).unlink()
    assert synced.run("db", "current", "--json").json["schema"] == migrate.HEAD
    assert synced.sync().json["run"] == 3
    assert synced.sent() == []
    synced.write_members("vip.csv", "ada", "bob")
    assert synced.sync().code == 0
    assert synced.sent() == [("dan", {"vip": False})]
