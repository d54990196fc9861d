"""Python rows reach the workspace unchanged, with any text in them."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import TextIO

import pytest

from audience_sync.workspace import Workspace

MANY = 60_000


@pytest.mark.parametrize(
    "text",
    ['a\n"b",\r', "\n", "\r\n", '"', "x" * 3_000_000],
    ids=["line ends and quotes", "a line end", "two line ends", "a quote", "more than DuckDB's longest line"],
)
def test_a_text_is_loaded_as_it_is(text: str, workspace: Workspace) -> None:
    table = workspace.load({"user_id": "varchar", "value": "varchar"}, [[(text, None), ("ada", text)]])
    assert workspace.all(f"from {table} order by value nulls first") == [(text, None), ("ada", text)]


def test_many_ids_with_line_ends_are_loaded_as_they_are(workspace: Workspace) -> None:
    ids = [(f'a\n"{number}",\r', "true") for number in range(MANY)]
    table = workspace.load({"user_id": "varchar", "value": "varchar"}, [ids])
    assert sorted(workspace.all(f"from {table}")) == sorted(ids)


def test_the_folder_of_a_run_that_was_killed_is_gone_after_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed = tmp_path / "audience-sync-killed"
    killed.mkdir()
    (killed / "in-use").touch()
    with Workspace(300_000_000, ["/"]) as at_work:
        assert not killed.exists()
        with Workspace(300_000_000, ["/"]):
            assert at_work.path(".csv").parent.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_being_made_is_not_taken_for_a_killed_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may look just before the folder is locked."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lock = fcntl.flock

    def lock_late(file: TextIO, how: int) -> None:
        for found in tmp_path.glob("*/in-use"):
            with found.open("r+") as other:
                lock(other, how)
                shutil.rmtree(found.parent)
        lock(file, how)

    monkeypatch.setattr("audience_sync.temporary_folder.fcntl.flock", lock_late)
    with Workspace(300_000_000, ["/"]) as workspace:
        assert workspace.path(".csv").parent.exists()
