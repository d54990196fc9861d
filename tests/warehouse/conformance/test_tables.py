"""The tables of last snapshots: what is left over is dropped, and damage is found."""

from __future__ import annotations

import pytest

from audience_sync.errors import SourceError
from audience_sync.sql import Query
from audience_sync.workspace import Workspace

from .places import PREFIX, Place, Runs
from .spark_places import FilesPlace
from .test_runs import members_of


def test_tables_of_earlier_runs_that_the_store_does_not_name_are_dropped(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada")
    runs.sync()
    left_over, in_use, later = f"{PREFIX}1_delta_7", f"{PREFIX}1_base_9", f"{PREFIX}9_delta_0"
    not_ours = ["other", "sync_ffffffff_1_base_0"]
    with place.connect(True) as engine:
        for name in (left_over, in_use, later, *not_ours):
            engine.create(name, Query("select 1 as nothing"))
    [base] = [each.name for each in runs.state]

    runs.sync(other=[in_use])

    assert place.tables() == sorted([*not_ours, base, in_use, later])


def test_a_run_without_changes_leaves_no_table(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada")
    runs.sync()
    tables = place.tables()
    runs.sync()
    assert place.tables() == tables


def test_a_run_creates_a_table_beside_one_of_the_same_run_that_a_restored_store_has_forgotten(
    place: Place, workspace: Workspace
) -> None:
    runs = members_of(place, workspace, "ada")
    runs.sync()
    members_of(place, workspace, "ada", "bob")
    forgotten = runs.state
    runs.sync()
    runs.state, runs.run = forgotten, runs.run - 1

    assert runs.sync().entered == {"bob"}
    assert len(place.tables()) == 3


def _damage(place: Place, runs: Runs, how: str) -> None:
    base, newest = runs.state[0].name, runs.state[-1].name
    with place.connect(True) as engine:
        if how == "dropped":
            engine.drop(newest)
            return
        other = engine.place(base)
    place.replace(newest, Query(f"select * from {other} where {'1 = 0' if how == 'emptied' else '1 = 1'}"))


@pytest.mark.parametrize("how", ["dropped", "emptied", "restored"])
def test_a_damaged_table_is_an_error_and_nothing_is_compared(how: str, place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada", "bob", "cyd")
    runs.sync()
    members_of(place, workspace, "ada", "bob", "dan")
    runs.sync()
    _damage(place, runs, how)
    tables = place.tables()

    with pytest.raises(SourceError, match=r"is damaged: the table \S+sync_.*audience-sync resync vip"):
        runs.sync()
    assert place.tables() == tables


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no rows"])
def test_a_file_that_can_not_be_read_is_an_error_and_a_resync_is_named(
    content: bytes, place: Place, workspace: Workspace
) -> None:
    if not isinstance(place, FilesPlace):
        pytest.skip("it keeps no files")
    runs = members_of(place, workspace, "ada", "bob")
    runs.sync()
    for path in (place.folder / runs.state[0].name).glob("*.parquet"):
        path.write_bytes(content)
        (path.parent / f".{path.name}.crc").unlink(missing_ok=True)

    with pytest.raises(SourceError, match=r"the last snapshot .*damaged: .*audience-sync resync vip"):
        runs.sync()


def test_check_finds_that_the_schema_can_keep_tables_and_leaves_none(place: Place) -> None:
    with place.connect(False) as engine:
        label = engine.label
    assert place.source.check() == f"connected; compares in {label}"
    assert place.tables() == []


def test_check_names_what_an_administrator_has_to_run(place: Place) -> None:
    place.make_unusable()

    with pytest.raises(SourceError, match=r" can't keep the last snapshots: .*(create \w+|must be able to list, read)"):
        place.source.check()
