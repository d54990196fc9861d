"""Projects over one folder of Parquet files on Spark: one fetches everything, in the other Spark compares.

The environment in which these tests run has not every extra, so a process that has imported everything can't be forked.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from cli.conftest import Project, Result

from .conftest import VIEWS, calls
from .sail import needs_spark, spark_server

pytestmark = needs_spark


@dataclass(frozen=True)
class Lake:
    """A folder of Parquet files, the folder of the last snapshots, and the projects."""

    folder: Path
    state: Path
    fetched: Project
    compared: Project

    def write(self, *users: str | None, score: int = 1) -> None:
        """Replace the members. Values of several types come from the score."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        with duckdb.connect() as connection:
            connection.execute("create table rows (user_id varchar)")
            connection.executemany("insert into rows values (?)", [(user,) for user in users])
            values = f"{score} as score, {{'tags': [user_id, null], 'score': {score}}} as profile"
            seen = f"timestamptz '2026-11-01 05:30:00+00' + interval {score} hour as seen"
            rows = f"select *, {values}, {seen} from rows"
            connection.execute(f"copy ({rows}) to '{self.folder}/part.parquet' (format parquet)")

    def run(self, *arguments: str) -> Result:
        """Run a command in both, which must end alike and send the same calls."""
        fetched, compared = self.fetched.run_afresh(*arguments), self.compared.run_afresh(*arguments)
        assert (fetched.code, compared.code) == (0, 0), f"{fetched.stderr}{compared.stdout}{compared.stderr}"
        assert calls(self.compared) == calls(self.fetched)
        for view in VIEWS:
            assert self.compared.query(view) == self.fetched.query(view)
        return compared

    def tables(self) -> list[str]:
        """The kinds of the tables with rows."""
        return sorted(name.split("_")[3] for name in {path.parent.name for path in self.state.glob("*/*.parquet")})


@pytest.fixture
def lake(tmp_path: Path, sqlite_schema: Path) -> Iterator[Lake]:
    folder, state, projects = tmp_path / "members", tmp_path / "state", []
    with spark_server(tmp_path) as url:
        for name, source in (("fetched", {"spark": url}), ("compared", {"spark": url, "state": state.as_uri()})):
            (tmp_path / name).mkdir()
            project = Project(tmp_path / name)
            shutil.copy(sqlite_schema, project.store)
            rows: dict[str, Any] = {"source": "lake", "query": f"select * from parquet.`{folder.as_uri()}`"}
            project.configure(
                sources={"lake": source},
                audiences=[{"name": "VIP", **rows}],
                computed_traits=[{**rows, "traits": ["score", "profile", "seen"]}],
            )
            projects.append(project)
        yield Lake(folder, state, *projects)


def test_the_same_calls_are_sent_whether_spark_compares_or_not(lake: Lake) -> None:
    lake.write("ada", "bob", None, "", "cyd")
    lake.run("sync")
    lake.write("ada", "dan", None)
    done = lake.run("sync", "--json").audience("vip")
    assert (done["entered"], done["left"], done["invalid"]) == (1, 2, 1)
    lake.write("ada", "dan", None, score=2)
    lake.run("plan", "--json")
    assert lake.run("sync", "--json").json["traits"]["changed"] == 2
    assert lake.tables() == ["base", "base", "delta", "delta", "delta"]  # of the audience and of the traits
    lake.run("resync", "vip")
    assert lake.tables() == ["base", "base", "base", "delta", "delta", "delta"]  # the next run drops two of them
    lake.run("sync")
    assert lake.tables() == ["base", "base", "delta", "delta"]


def test_a_group_has_audiences_on_spark_and_in_files(lake: Lake) -> None:
    lake.write("ada", "bob", "cyd")
    for project in (lake.fetched, lake.compared):
        config = yaml.safe_load((project.folder / "config.yaml").read_text())
        config["sources"]["shop"] = {"files": "."}
        config["audiences"].append({"name": "Gold", "source": "shop", "file": "gold.csv"})
        config["priority_groups"] = {"campaign": ["Gold", "VIP"]}
        (project.folder / "config.yaml").write_text(yaml.safe_dump(config))
    for gold, vip in ((["ada"], "bob cyd"), (["bob"], "ada cyd")):
        lake.fetched.write_members("gold.csv", *gold)
        lake.compared.write_members("gold.csv", *gold)
        lake.run("sync")
        users = lake.compared.query("select user_id from audience_members where audience_key = 'vip' order by 1")
        assert " ".join(user for (user,) in users) == vip


def test_a_state_that_is_lost_is_found_and_a_resync_mends_it(lake: Lake) -> None:
    lake.write("ada", "bob")
    lake.run("sync")
    shutil.rmtree(lake.state)
    lake.write("ada")

    done = lake.compared.run_afresh("sync", "--json")
    assert done.code == 3
    assert "is damaged: the table file://" in done.audience("vip")["error"]
    assert "audience-sync resync vip" in done.audience("vip")["error"]

    assert lake.compared.run_afresh("resync").code == 0
    assert lake.compared.run_afresh("sync", "--json").audience("vip")["members"] == 1


def test_check_connects_reads_columns_and_writes_into_the_state(lake: Lake) -> None:
    lake.write("ada")
    done = lake.compared.run_afresh("check", "--json")

    assert done.code == 0, done.stdout
    [source] = [each for each in json.loads(done.stdout)["checks"] if each["part"] == "source"]
    assert source["message"].endswith(f"connected; compares in {lake.state.as_uri()}")
    assert lake.tables() == []
