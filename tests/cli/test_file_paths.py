"""Exactly the files that a config names are read, and their paths give no values unless the config asks."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from .conftest import Project


def written(path: Path, *users: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["user_id", *users, ""]))
    os.utime(path, (1, 1))


@pytest.mark.parametrize("place", ["exports", "data[1]", "plan=free"])
def test_the_members_of_a_file_with_brackets_are_its_own(place: str, project: Project) -> None:
    sources = {"shop": {"files": place}}
    project.configure(sources=sources, audiences=[{"name": "VIP", "source": "shop", "file": "vip[1].csv"}])
    written(project.folder / place / "vip[1].csv", "ada", "bob")
    written(project.folder / place / "vip1.csv", "eve", "mallory", "trent")
    assert project.sync().code == 0
    assert project.sent() == [("ada", {"vip": True}), ("bob", {"vip": True})]
    project.configure(sources=sources, audiences=[{"name": "VIP", "source": "shop", "file": "*.csv"}])
    assert project.sync().audience("vip")["members"] == 5
    written(project.folder / place / "vip[1].csv", "bob")
    assert project.sync().audience("vip")["left"] == 1
    project.configure(
        sources=sources, audiences=[{"name": "VIP", "source": "shop", "query": "select user_id from 'vip[1].csv'"}]
    )
    assert project.sync().audience("vip")["members"] == 1


def test_folders_called_like_columns_change_no_value(project: Project) -> None:
    for folder, row in {
        "user_id=5": "select unnest(['ada', 'bob']) as user_id",
        "plan=free": "select unnest(['ada', 'bob']) as user_id, 'pro' as plan",
        "dt=2026-11-28": "select unnest(['ada', 'bob']) as user_id, timestamp '2026-11-28 07:04:58' as dt",
    }.items():
        (project.folder / folder).mkdir()
        duckdb.sql(f"copy ({row}) to '{project.folder}/made.parquet'")
        os.rename(project.folder / "made.parquet", project.folder / folder / "users.parquet")
    (project.folder / "plan=free" / "users.jsonl").write_text('{"user_id":"ada","plan":"pro"}\n')
    written(project.folder / "user_id=X" / "users.csv", "ada", "bob")
    project.configure(
        audiences=[
            {"name": "In a folder", "source": "shop", "file": "user_id=5/users.parquet"},
            {"name": "In a column", "source": "shop", "file": "user_id=X/users.csv"},
        ],
        computed_traits=[
            {"source": "shop", "file": "plan=free/users.parquet", "traits": ["plan"]},
            {
                "source": "shop",
                "file": "dt=2026-11-28/users.parquet",
                "traits": [{"column": "dt", "name": "Last Seen"}],
            },
            {"source": "shop", "file": "plan=free/users.jsonl", "traits": [{"column": "plan", "name": "Plan Again"}]},
        ],
    )
    assert project.sync().code == 0
    both = {"in_a_column": True, "in_a_folder": True, "last_seen": "2026-11-28T07:04:58.000Z", "plan": "pro"}
    assert project.sent() == [("ada", both | {"plan_again": "pro"}), ("bob", both)]


@pytest.mark.parametrize("at", ["the source", "the entry"])
def test_audiences_are_named_by_folders_where_the_config_asks(at: str, project: Project) -> None:
    source = {"files": "."} | ({"partitions": "hive"} if at == "the source" else {})
    entry = {"names_from": "audience", "source": "shop", "file": "audience=*/*.csv"}
    project.configure(
        sources={"shop": source}, audiences=[entry | ({"partitions": "hive"} if at == "the entry" else {})]
    )
    written(project.folder / "audience=vip" / "0.csv", "ada")
    written(project.folder / "audience=At%20Risk" / "0.csv", "bob")
    assert project.sync().code == 0
    assert project.sent() == [("ada", {"vip": True}), ("bob", {"at_risk": True})]
