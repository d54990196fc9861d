"""A name that can't be an audience concerns itself only, not the others of its query."""

from __future__ import annotations

import os

import pytest
from cli.conftest import Project

NAMES = {"names_from": "audience", "source": "shop", "file": "audiences.csv"}


def test_two_names_with_one_key_fail_the_second_one_alone(project: Project) -> None:
    project.configure(audiences=[NAMES])
    project.write("audiences.csv", "user_id,audience\nada,VIP\nbob,vip\ncyd,New\n")
    run = project.sync()
    assert [(each["key"], each["status"]) for each in run.json["audiences"]] == [
        ("new", "created"),
        ("vip", "created"),
        ("shop:audience=vip", "failed"),
    ]
    assert "the key 'vip' is in use" in run.audience("shop:audience=vip")["error"]
    assert run.code == 3
    assert project.sent() == [("ada", {"vip": True}), ("cyd", {"new": True})]


@pytest.mark.parametrize("is_settled", [False, True], ids=["just written", "unchanged for long"])
def test_a_name_that_an_audience_of_its_own_took_over_is_no_crash(project: Project, is_settled: bool) -> None:
    project.configure(audiences=[NAMES])
    names = project.write("audiences.csv", "user_id,audience\nada,VIP\n")
    if is_settled:
        os.utime(names, (1, 1))
    project.sync()
    project.write("vip.csv", "user_id\nbob\nada\n")
    project.configure(audiences=[NAMES, {"name": "VIP", "source": "shop", "file": "vip.csv"}])
    run = project.sync()
    assert [(each["key"], each["status"]) for each in run.json["audiences"]] == [
        ("vip", "synced"),
        ("shop:audience=VIP", "failed"),
    ]
    project.write("audiences.csv", "user_id,audience\nada,New\n")
    assert [(each["key"], each["status"]) for each in project.sync().json["audiences"]] == [
        ("vip", "unchanged"),
        ("new", "created"),
    ]


def test_a_run_over_one_audience_does_not_fail_for_names_nobody_asked_for(project: Project) -> None:
    vip = {"name": "VIP", "source": "shop", "file": "vip.csv"}
    project.configure(audiences=[vip, NAMES])
    project.write("vip.csv", "user_id\nada\n")
    assert project.sync("vip").code == 0
