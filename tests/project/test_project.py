"""A project can be opened and run from Python, several in one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from audience_sync import ConfigError, Project

from .conftest import CONFIG, MakeFolder, calls


@pytest.fixture(name="folders")
def two_projects(make_folder: MakeFolder) -> tuple[Path, Path]:
    return make_folder("ada", name="one"), make_folder("bob", name="two")


def test_two_projects_run_in_one_process_each_with_its_own_store_and_calls(folders: tuple[Path, Path]) -> None:
    one, two = (Project.open(folder / "config.yaml") for folder in folders)
    assert [project.sync().status.value for project in (one, two, one)] == ["succeeded"] * 3
    assert calls(folders[0]) == [("ada", {"vip": True})]
    assert calls(folders[1]) == [("bob", {"vip": True})]


def test_a_run_reports_what_changed(folders: tuple[Path, Path]) -> None:
    project = Project.open(folders[0] / "config.yaml")
    project.sync()
    (folders[0] / "vip.csv").write_text("user_id\ncyd\n")
    run = project.sync()
    assert [(each.key, each.entered, each.left) for each in run.audiences] == [("vip", 1, 1)]
    assert [(each.destination, each.delivered, each.pending) for each in run.deliveries] == [("log", 2, 0)]


def test_a_config_with_problems_is_refused_when_the_project_is_opened(folders: tuple[Path, Path]) -> None:
    config = folders[0] / "config.yaml"
    config.write_text(CONFIG.replace("path: calls.jsonl", "path: store.db").replace("name: VIP", "nam: VIP"))
    with pytest.raises(ConfigError) as refused:
        Project.open(config)
    assert "audiences[0]" in str(refused.value)


def test_a_file_for_two_options_is_refused_when_the_project_is_opened(folders: tuple[Path, Path]) -> None:
    config = folders[0] / "config.yaml"
    config.write_text(CONFIG.replace("path: calls.jsonl", "path: store.db"))
    with pytest.raises(ConfigError, match=r"store\.db"):
        Project.open(config)
    assert not (folders[0] / "store.db").exists()
