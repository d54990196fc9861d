"""A command in an answer can be pasted into a shell, and acts on the project that the answer is about."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml
from destinations.receiver import Receiver, Reply
from forks import STUCK

from .conftest import ACCEPTED, Project, segment
from .test_notify import People
from .test_readable_at_any_width import in_one_line, on_a_terminal

OPTIONS = ("--config", "my config.yaml", "--env", "production")
GIVEN = "audience-sync --config 'my config.yaml' --env production "
INVALID = Reply(400, body=b'{"error": "Invalid email address"}')
AUDIENCE = {"name": "VIP", "source": "shop", "file": "vip.csv"}


@pytest.fixture
def held(project: Project) -> Project:
    """Production holds `vip` in its run 2. So does the project that a command without options finds."""
    parts = {
        "store": "sqlite:///development.db",
        "sources": {"shop": {"files": "."}},
        "audiences": [AUDIENCE],
        "destinations": {"log": {"type": "file", "path": "calls.jsonl"}},
        "environments": {"production": {"store": "sqlite:///production.db"}},
    }
    project.write("my config.yaml", yaml.safe_dump(parts))
    project.configure(audiences=[AUDIENCE])
    for options in ((), OPTIONS):
        project.write_members("vip.csv", "ada", "bob")
        assert project.run(*options, "sync").code == 0
        project.write_members("vip.csv")
        assert project.run(*options, "sync").code == 4
    return project


def paste(project: Project, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line as a shell does that has this program on its path."""
    program = project.folder / "bin" / "audience-sync"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m audience_sync "$@"\n', "utf-8")
    program.chmod(0o755)
    environment = {**project.environment, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", "-c", line], cwd=project.folder, env=environment, capture_output=True, text=True, timeout=STUCK
    )


@pytest.mark.parametrize(
    "command",
    [
        "sync",
        "status",
        "show 2",
        "plan",
        "history",
        "history vip",
        "explain ada",
        "check",
        "members vip",
        "undo 1 --yes",
    ],
)
@pytest.mark.parametrize("width", [80, None])
def test_every_command_in_an_answer_has_the_options_that_were_given(
    held: Project, command: str, width: int | None
) -> None:
    arguments = [*OPTIONS, *command.split()]
    shown = on_a_terminal(held, width, arguments) if width else held.run(*arguments).stdout
    assert in_one_line(shown).replace(GIVEN, "").count("audience-sync ") == 0


def test_a_pasted_approval_decides_in_the_project_of_the_answer(held: Project) -> None:
    shown = on_a_terminal(held, 80, [*OPTIONS, "status"]).splitlines()
    approve = next(line.strip() for line in shown if " approve " in line)
    assert approve == f"{GIVEN}approve 2 vip"
    assert paste(held, approve).returncode == 0
    assert held.run(*OPTIONS, "status", "--json").json["needs_person"] == []
    assert [each["state"] for each in held.run("status", "--json").json["needs_person"]] == ["held"]


def test_the_document_of_status_has_the_same_commands(held: Project) -> None:
    concern = held.run(*OPTIONS, "status", "--json").json["needs_person"][0]
    assert concern["commands"] == [f"{GIVEN}approve 2 vip", f"{GIVEN}reject 2 vip"]


def test_an_error_names_its_remedy_with_the_options(held: Project) -> None:
    assert f"The last ones: {GIVEN}history" in held.run(*OPTIONS, "show", "99").stderr


def test_what_cron_mails_has_the_options(held: Project) -> None:
    assert f"    {GIVEN}approve 3 vip\n" in held.run(*OPTIONS, "sync").stderr


def test_an_alert_has_the_options(held: Project, other_receiver: Receiver) -> None:
    other_receiver.will_answer(Reply())
    people, config = People(other_receiver), held.folder / "my config.yaml"
    config.write_text(f"{config.read_text('utf-8')}notify: {{to: ['{people.address}']}}\n", "utf-8")
    held.run(*OPTIONS, "sync")
    ((_, (line,)),) = people.messages()
    assert f"{GIVEN}approve 3 vip" in line


@pytest.mark.parametrize("name", ["my tool", "Anna's", "$HOME"])
def test_a_destination_with_an_odd_name_is_retried_by_the_command_of_each_answer(
    project: Project, receiver: Receiver, name: str
) -> None:
    receiver.will_answer(INVALID)
    project.configure(audiences=[AUDIENCE], destinations={name: segment(receiver)})
    project.write_members("vip.csv", "ada")
    answers = [project.run(*each.split()).stdout for each in ("sync", "status", "show 1", "explain ada", "sync")]
    commands = [next(line.strip() for line in each.splitlines() if "audience-sync retry" in line) for each in answers]
    assert len(set(commands)) == 1
    receiver.will_answer(ACCEPTED)
    assert paste(project, commands[0]).returncode == 0
    assert project.run("status").stdout.startswith("Nothing needs a person.")
