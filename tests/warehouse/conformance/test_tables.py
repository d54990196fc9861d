"""The tables of last snapshots: what is left over is dropped, and damage is found."""

from __future__ import annotations

import pytest

from audience_sync.errors import SourceError
from audience_sync.sql import Query
from audience_sync.workspace import Workspace

from .places import PREFIX, SCHEMA, Place, Runs
from .test_runs import members_of


def test_tables_of_earlier_runs_that_the_store_does_not_name_are_dropped(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada")
    runs.sync()
    [base] = place.tables()
    for name in (f"{PREFIX}1_delta_7", f"{PREFIX}1_base_9", f"{PREFIX}9_delta_0", "sync_ffffffff_1_base_0", "other"):
        place.run(place.dialect.create(place.dialect.place(SCHEMA, name), Query("select 1 as nothing")))

    runs.sync(other=[f"{PREFIX}1_base_9"])

    assert place.tables() == sorted(
        ["other", "sync_ffffffff_1_base_0", base, f"{PREFIX}1_base_9", f"{PREFIX}9_delta_0"]
    )


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
    table = place.dialect.place(SCHEMA, runs.state[-1].name)
    other = place.dialect.place(SCHEMA, runs.state[0].name)
    rows = {"emptied": f"select * from {other} where 1 = 0", "restored": f"select * from {other}"}
    if rest := rows.get(how):
        place.run(place.dialect.create(place.dialect.place("shop", "rest"), Query(rest)))
    place.run(f"drop table {table}")
    if rest:
        place.run(place.dialect.create(table, Query(f"select * from {place.dialect.place('shop', 'rest')}")))


@pytest.mark.parametrize("how", ["dropped", "emptied", "restored"])
def test_a_damaged_table_is_an_error_and_nothing_is_compared(how: str, place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada", "bob", "cyd")
    runs.sync()
    members_of(place, workspace, "ada", "bob", "dan")
    runs.sync()
    _damage(place, runs, how)
    tables = place.tables()

    with pytest.raises(SourceError, match=r"is damaged: the table audience_sync\.sync_.*audience-sync resync vip"):
        runs.sync()
    assert place.tables() == tables


def test_check_finds_that_the_schema_can_keep_tables_and_leaves_none(place: Place) -> None:
    assert place.source.check() == "connected; compares in schema audience_sync"
    assert place.tables() == []


def test_check_names_what_an_administrator_has_to_run(place: Place) -> None:
    place.run(place.drop_schema.format(place.dialect.quote(SCHEMA)))

    with pytest.raises(SourceError, match=r"the schema 'audience_sync' can't keep the last snapshots: .*create \w+"):
        place.source.check()
