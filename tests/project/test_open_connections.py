"""A call that fails leaves no connection to the store open: a notebook keeps its error, and what is not closed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from audience_sync import AudienceSyncError, Project

from .conftest import MakeFolder


def of_a_later_version(store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("update alembic_version set version_num = '9999'")


def damaged_in_the_middle(store: Path) -> None:
    with store.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (store.stat().st_size - 4096))


def no_database(store: Path) -> None:
    store.write_bytes(b"user_id\n" * 1_000)


@pytest.mark.parametrize("spoil", [of_a_later_version, damaged_in_the_middle, no_database])
@pytest.mark.parametrize(
    "call",
    [
        pytest.param(Project.sync, id="sync"),
        pytest.param(Project.plan, id="plan"),
        pytest.param(lambda project: project.members("vip"), id="members"),
        pytest.param(Project.runs, id="runs"),
    ],
)
def test_a_store_that_cannot_be_used_is_closed(
    call: Callable[[Project], object], spoil: Callable[[Path], None], make_folder: MakeFolder
) -> None:
    project, store = Project.open((folder := make_folder("ada")) / "config.yaml"), folder / "store.db"
    project.sync()
    spoil(store)
    with pytest.raises(AudienceSyncError) as caught:
        call(project)
    assert caught.tb is not None  # it holds everything that is not closed
    assert open_files(folder) == []


def open_files(folder: Path) -> list[str]:
    """The files in the folder that this process has open."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{each}"))
        except FileNotFoundError:  # that of the list itself
            continue
    return sorted(each for each in found if each.startswith(str(folder)))
