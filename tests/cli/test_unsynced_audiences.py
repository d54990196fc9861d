"""A command about an audience that only the config has says so, with the command that syncs it."""

from __future__ import annotations

import pytest

from .conftest import Project

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
NEW = {"name": "New Here", "source": "shop", "file": "new.csv"}
WAVE = {"name": "Wave", "source": "shop", "file": "new.csv", "initial": "manual"}


@pytest.fixture
def project(project: Project) -> Project:
    """A project whose config got two more audiences after its only run."""
    project.configure(audiences=[VIP])
    project.write_members("vip.csv", "ada")
    project.write_members("new.csv", "bob")
    project.sync()
    project.configure(audiences=[VIP, NEW, WAVE])
    return project


@pytest.mark.parametrize("command", ["history", "members"])
@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("new_here", "Sync it: audience-sync sync new_here"),
        ("wave", "It waits for its first seed: audience-sync seed wave"),
    ],
)
def test_what_is_to_be_read_is_not_there_yet(project: Project, command: str, key: str, remedy: str) -> None:
    found = project.run(command, key)
    assert (found.code, found.stdout) == (2, "")
    assert found.stderr == f"error: audience '{key}' is in config.yaml, but no run has synced it yet.\n  {remedy}\n"


def test_it_can_be_frozen_after_its_first_run(project: Project) -> None:
    found = project.run("freeze", "new_here")
    assert found.code == 2
    assert "audience 'new_here' is in config.yaml, but no run has synced it yet." in found.stderr
    assert "`initial: manual`" in found.stderr


def test_a_key_that_nothing_has_is_still_a_mistake(project: Project) -> None:
    found = project.run("history", "new_her")
    assert found.code == 2
    assert "there is no audience 'new_her'" in found.stderr


def test_once_synced_it_has_a_history(project: Project) -> None:
    project.sync()
    assert [run["status"] for run in project.run("history", "new_here", "--json").json["runs"]] == ["created"]
    assert [run["status"] for run in project.run("history", "wave", "--json").json["runs"]] == ["waiting"]
    assert "seed wave" in project.run("members", "wave").stderr
