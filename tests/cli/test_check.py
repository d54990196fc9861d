"""`check` reads no source of what is retired, and a destination that is broken hides nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Project, Result
from .test_destination_boundary import LOG, VIP, a_project, faulty

BROKEN_FROM_THE_START = """

class Unmakeable(FaultyDestination):
    def __init__(self, options, about):
        super().__init__(options, about)
        self.fail("init")

    @property
    def address(self):
        self.fail("address of")
        return "nowhere"
"""


def failed(check: Result) -> list[tuple[str, str]]:
    return [(each["part"], each["name"]) for each in check.json["checks"] if not each["good"]]


@pytest.mark.parametrize("moment", ["init", "address of", "open"])
@pytest.mark.parametrize("error", ["ValueError", "SystemExit", "OwnError", "MemoryError"])
def test_a_destination_that_raises_is_named_and_the_others_are_checked(tmp_path: Path, moment: str, error: str) -> None:
    project = a_project(tmp_path, crm=faulty(moment, error), last=LOG | {"path": "last.jsonl"})
    with (tmp_path / "faulty_destination.py").open("a") as module:
        module.write(BROKEN_FROM_THE_START)
    entry = "[audience_sync.destinations]\nfaulty = faulty_destination:Unmakeable\n"
    project.write("faulty-1.0.dist-info/entry_points.txt", entry)
    project.configure(
        audiences=[VIP, {"name": "Gone", "source": "shop", "file": "gone.csv"}],
        destinations={"log": LOG, "crm": faulty(moment, error), "last": LOG | {"path": "last.jsonl"}},
    )

    check = project.run_afresh("check", "--json")

    assert failed(check) == [("audience", "gone"), ("destination", "crm")]
    assert f"error in the destination's own code: {error}" in check.stdout
    assert "hush-4711-hush" not in check.stdout + check.stderr
    assert [each["name"] for each in check.json["checks"] if each["part"] == "destination"] == ["log", "crm", "last"]


def test_the_source_of_a_retired_audience_is_not_read(vip: Project) -> None:
    gone = {"name": "Gone", "source": "shop", "file": "gone.csv"}
    vip.write_members("gone.csv", "ada")
    vip.configure(audiences=[VIP, gone])
    assert vip.sync().code == 0
    assert vip.run("retire", "gone", "--yes").code == 0
    (vip.folder / "gone.csv").unlink()

    check = vip.run("check", "--json")

    assert (check.code, failed(check)) == (0, [])
    assert [each["name"] for each in check.json["checks"] if each["part"] == "audience"] == ["vip"]
    assert "the key 'gone' is retired" in check.stdout


def test_the_column_of_a_retired_trait_is_not_looked_for(vip: Project) -> None:
    traits = [{"source": "shop", "file": "traits.csv", "traits": ["plan", "tier"]}]
    vip.write("traits.csv", "user_id,plan,tier\nada,pro,1\n")
    vip.configure(audiences=[VIP], computed_traits=traits)
    assert vip.sync().code == 0
    assert vip.run("retire", "tier", "--yes").code == 0
    vip.write("traits.csv", "user_id,plan\nada,pro\n")

    check = vip.run("check", "--json")

    assert (check.code, failed(check)) == (0, [])


def test_a_file_of_retired_traits_alone_is_not_read(vip: Project) -> None:
    traits = [{"source": "shop", "file": "traits.csv", "traits": ["plan"]}]
    vip.write("traits.csv", "user_id,plan\nada,pro\n")
    vip.configure(audiences=[VIP], computed_traits=traits)
    assert vip.sync().code == 0
    assert vip.run("retire", "plan", "--yes").code == 0
    (vip.folder / "traits.csv").unlink()

    check = vip.run("check", "--json")

    assert (check.code, failed(check)) == (0, [])


def test_a_variable_comes_from_the_file_env_and_is_never_shown(vip: Project) -> None:
    vip.configure(sources={"shop": {"files": "."}, "crm": {"database": "${CRM_URL}"}})
    missing = vip.run("check")
    assert missing.code == 2
    assert "sources.crm.database: the variable `CRM_URL` is not set, neither in the environment nor in `.env`" in (
        missing.stdout + missing.stderr
    )
    vip.write(".env", "CRM_URL=mssql://ada:hush-4711@127.0.0.1:1/crm\n")
    vip.configure(
        sources={"shop": {"files": "."}, "crm": {"database": "${CRM_URL}"}},
        audiences=[VIP, {"name": "Churn", "source": "crm", "query": "select user_id from churn"}],
    )
    check = vip.run("check")
    assert check.code == 3
    assert "pip install 'audience-sync[mssql]'" in " ".join(check.stdout.split())
    assert "hush-4711" not in check.stdout + check.stderr
