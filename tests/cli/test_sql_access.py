"""SQL of the config reads the configured sources only, and other users can't read the files of a project."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from .conftest import Project


def by_query(project: Project, query: str) -> None:
    project.configure(audiences=[{"name": "VIP", "source": "shop", "query": query}])


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("elsewhere") / "secret.csv"
    file.write_text("user_id\nzoe\n", "utf-8")
    return file


@pytest.mark.parametrize(
    "query",
    [
        "select user_id from read_csv('{file}')",
        "select user_id from read_csv('../elsewhere0/secret.csv')",
        "select content as user_id from read_text('{file}')",
        "select file as user_id from glob('{folder}/*')",
        "select user_id from read_csv('http://127.0.0.1:1/secret.csv')",
    ],
)
def test_other_files_are_not_read(vip: Project, elsewhere: Path, query: str) -> None:
    by_query(vip, query.format(file=elsewhere, folder=elsewhere.parent))
    ended = vip.sync()
    assert ended.code == 3
    assert "a query may only read the files of its source" in ended.json["audiences"][0]["error"]
    assert "zoe" not in ended.stdout + ended.stderr
    assert "secret" not in str(vip.messages())
    assert vip.messages() == []


def test_what_lies_in_the_folder_is(vip: Project) -> None:
    by_query(vip, "select user_id from read_csv('vip.csv') where user_id <> 'ada'")
    assert vip.sync().audience("vip")["members"] == 2


def test_a_file_that_the_config_names_is_read_wherever_it_lies(vip: Project, elsewhere: Path) -> None:
    vip.configure(audiences=[{"name": "VIP", "source": "shop", "file": str(elsewhere)}])
    assert vip.sync().audience("vip")["members"] == 1


def test_a_link_in_the_folder_leads_where_its_owner_wants(vip: Project, elsewhere: Path) -> None:
    (vip.folder / "today").symlink_to(elsewhere.parent)
    vip.configure(audiences=[{"name": "VIP", "source": "shop", "file": "today/secret.csv"}])
    assert vip.sync().audience("vip")["members"] == 1
    by_query(vip, "select user_id from 'today/secret.csv'")
    assert vip.sync().code == 0
    assert vip.run("check").code == 0


def test_what_holds_users_is_its_owners_alone(vip: Project) -> None:
    vip.store.unlink()
    assert vip.run("plan", "--out", "plan.json").code == 0
    assert vip.sync().code == 0
    assert vip.run("db", "backup", "saved.db").code == 0
    for name in ("plan.json", "audience_sync.db", "calls.jsonl", "saved.db"):
        assert stat.S_IMODE((vip.folder / name).stat().st_mode) == 0o600, name
