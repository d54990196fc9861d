"""`status` finds what needs a person in a real project, and the commands that it prints work."""

from __future__ import annotations

import shlex

from destinations.receiver import Receiver, Reply

from .conftest import Project, segment

MANY = [f"u{number:03}" for number in range(200)]


def audience(name: str, **options: object) -> dict[str, object]:
    return {"name": name, "source": "shop", "file": f"{name.lower()}.csv", **options}


def configure(project: Project, receiver: Receiver | None = None, **parts: object) -> None:
    destinations: dict[str, object] = {"log": {"type": "file", "path": "calls.jsonl"}}
    if receiver:
        destinations["seg"] = segment(receiver)
    audiences = [audience("VIP"), audience("Big"), audience("New", initial="manual")]
    project.configure(**{"audiences": audiences, "destinations": destinations, **parts})


def test_before_the_first_run_and_after_a_good_one(project: Project) -> None:
    project.configure(audiences=[audience("VIP")])
    project.write_members("vip.csv", *MANY)
    assert project.run("status").stdout == "There is no run yet. To start one:\n  audience-sync sync\n"
    project.run("sync")
    well = project.run("status", "--exit-code")
    assert (well.code, well.stdout.count("\n")) == (0, 1)
    assert well.stdout.startswith("Nothing needs a person. Run 1 succeeded, ")


def test_every_concern_is_there_with_a_command_that_works(project: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(400, body=b'{"error": "bad user"}'))
    configure(project, receiver)
    for name in ("vip.csv", "big.csv", "new.csv"):
        project.write_members(name, *MANY)
    project.run("sync")
    project.write_members("vip.csv", "u001")
    (project.folder / "big.csv").unlink()
    project.run("sync")

    found = project.run("status", "--json", "--exit-code")
    concerns = {each["state"]: each for each in found.json["needs_person"]}
    assert found.code == 3
    assert list(concerns) == ["failed", "held", "refused", "waiting"]
    assert concerns["failed"]["subjects"] == ["big"]
    assert concerns["held"]["commands"] == ["audience-sync approve 2 vip", "audience-sync reject 2 vip"]
    assert (concerns["refused"]["subjects"], concerns["refused"]["count"]) == (["seg"], 200)
    assert concerns["waiting"]["commands"] == ["audience-sync plan new", "audience-sync seed new"]
    assert project.run("status").code == 0

    receiver.will_answer(Reply(body=b'{"success": true}'))
    project.write_members("big.csv", *MANY)
    for command in (concerns["held"]["commands"][0], "audience-sync sync", *concerns["waiting"]["commands"]):
        assert project.run(*shlex.split(command)[1:], *(["--yes"] if " seed " in command else [])).code in (0, 1)
    assert project.run(*shlex.split(concerns["refused"]["commands"][0])[1:]).code == 0
    assert project.run("status").stdout.startswith("Nothing needs a person. Run ")


def test_what_left_the_config_needs_no_person_and_a_renamed_audience_does(project: Project) -> None:
    configure(project)
    for name in ("vip.csv", "big.csv", "new.csv"):
        project.write_members(name, *MANY)
    project.run("sync")
    project.write_members("vip.csv", "u001")
    project.write_members("big.csv", "u001")
    project.run("sync")
    configure(project, audiences=[{"name": "Very Important", "source": "shop", "file": "vip.csv"}])
    project.run("sync")
    needs = project.run("status", "--json").json["needs_person"]
    assert [(each["state"], each["subjects"]) for each in needs] == [("held", ["vip"])]


def test_a_config_that_can_not_be_used_here_is_noted_and_the_rest_is_found(project: Project) -> None:
    project.configure(audiences=[audience("VIP")], schedule="0 6 * * *")
    project.write_members("vip.csv", *MANY)
    project.run("sync")
    project.configure(audiences=[audience("VIP")], schedule="0 6 * * *", notify={"ping": "${PING_URL}"})
    found = project.run("status")
    assert found.code == 0
    assert found.stdout.splitlines()[-1].startswith("The schedules were not checked, because config.yaml ")


def test_a_schedule_that_no_scheduler_serves_is_late(project: Project) -> None:
    project.configure(audiences=[audience("VIP")], schedule="0 6 * * *")
    project.write_members("vip.csv", *MANY)
    project.run("sync")
    assert project.run("status", "--json").json["needs_person"] == []
    project.query(
        "insert into schedule_slots (schedule, due_at, ended_at, missed) values ('cron 0 6 * * * UTC', "
        "'2026-01-02 06:00:00.000000', '2026-01-02 06:00:01.000000', 0)"
    )
    found = project.run("status", "--json", "--exit-code")
    (late,) = found.json["needs_person"]
    assert (found.code, late["state"], late["subjects"]) == (1, "late", ["cron 0 6 * * * UTC"])
    assert late["text"].startswith("due at 2026-01-03 06:00 UTC, and ")


def test_status_changes_nothing(project: Project) -> None:
    configure(project)
    for name in ("vip.csv", "big.csv", "new.csv"):
        project.write_members(name, *MANY)
    project.run("sync")
    before = project.store.read_bytes()
    project.run("status")
    assert project.store.read_bytes() == before


def test_without_a_run_the_history_of_an_audience_names_the_command_that_starts_one(project: Project) -> None:
    project.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}])
    assert project.run("history", "vip").stdout == "No runs yet. Start one: audience-sync sync\n"
