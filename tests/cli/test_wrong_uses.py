"""A command that was given what there is not is no run: exit code 2, what was meant, and no row in the history."""

from __future__ import annotations

import pytest

from .conftest import Project

FOUND = "error: there is no audience 'vpi'. Did you mean 'vip'? Nothing was changed or sent.\n  Audiences: vip\n"


@pytest.mark.parametrize(
    "command",
    [
        ("sync", "vpi"),
        ("plan", "vpi"),
        ("seed", "vpi"),
        ("resync", "vpi"),
        ("sync", "vip", "vpi"),
    ],
    ids=" ".join,
)
def test_a_wrong_key_is_said_with_the_one_that_was_meant(vip: Project, command: tuple[str, ...]) -> None:
    vip.sync()
    vip.write_members("vip.csv", "ada")
    wrong = vip.run(*command)
    assert (wrong.code, wrong.stdout, wrong.stderr) == (2, "", FOUND)
    assert vip.query("select run, status from sync_runs") == [(1, "succeeded")]
    assert vip.sync().json["run"] == 2


@pytest.mark.parametrize(
    "command",
    [
        ("sync", "--accept", "vpi"),
        ("retire", "vpi", "--yes"),
        ("undo", "99", "--yes"),
        ("undo", "2", "--yes"),
        ("approve", "99"),
        ("reject", "99"),
        ("approve", "1", "vpi"),
        ("sync", "--move-key", "vpi=new"),
        ("resync", "--destination", "lag"),
        ("retry", "--destination", "lag"),
    ],
    ids=" ".join,
)
def test_no_wrong_use_makes_a_run(vip: Project, command: tuple[str, ...]) -> None:
    vip.sync()
    assert vip.run(*command).code == 2
    assert vip.query("select run, status from sync_runs") == [(1, "succeeded")]


def test_a_wrong_use_is_no_failed_run_of_the_metrics(vip: Project) -> None:
    vip.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}], metrics={"file": "numbers.prom"})
    vip.sync()
    vip.run("sync", "vpi")
    vip.sync()
    numbers = (vip.folder / "numbers.prom").read_text("utf-8")
    assert 'audience_sync_runs_total{status="failed"} 0' in numbers
    assert 'audience_sync_runs_total{status="succeeded"} 2' in numbers
    assert 'audience_sync_runs_total{status="interrupted"} 0' in numbers


def test_a_wrong_key_of_a_config_with_names_is_no_run_either(vip: Project) -> None:
    vip.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "all.csv"}])
    vip.write("all.csv", "user_id,audience\nada,vip\n")
    vip.sync()
    wrong = vip.run("sync", "vpi")
    assert (wrong.code, wrong.stderr) == (2, FOUND)
    assert vip.query("select run, status from sync_runs") == [(1, "succeeded")]


def test_a_wrong_use_answers_programs_with_its_words(vip: Project) -> None:
    wrong = vip.run("sync", "vpi", "--json")
    assert wrong.json["exit_code"] == 2
    assert wrong.json["error"].startswith("there is no audience 'vpi'. Did you mean 'vip'?")
    assert wrong.json["problems"] == []
