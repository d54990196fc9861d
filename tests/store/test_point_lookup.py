"""A lookup of one user in a stored snapshot finds the user and reads little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from audience_sync.errors import StoreDamagedError
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots.chain import BASE, write_snapshot_file
from audience_sync.store.snapshots.point_lookup import base_rows
from audience_sync.store.tables import snapshot_file_chunks
from audience_sync.workspace import Workspace

from .examples import a_store_with, base, delta, save, the_audience

#: Of these the first in the order of ids, the last of the first row group, the first of the next, and the last.
LARGE = "select sha256(i::varchar) as user_id, 1 as run_id, true as present from range(400000) t(i)"
PLACES = (0, 122_879, 122_880, 399_999)
HOSTILE = ["10", "9", "A b", "O'Brien", "é", "\uffff", "\U0001f600", "x" * 2500]


def found(store: Store, workspace: Workspace, chain: int, user: str) -> Mapping[str, Any] | None:
    with store.reading() as connection:
        return base_rows(connection, workspace, [chain], user).get(chain)


def test_a_user_is_found_in_a_large_base_and_a_stranger_is_not(store: Store, workspace: Workspace) -> None:
    a_store_with(store)
    chain = save(store, the_audience(), write_snapshot_file(workspace, BASE, LARGE))
    users = [row[0] for row in workspace.all(f"select user_id from ({LARGE}) order by user_id")]
    for user in (users[place] for place in PLACES):
        assert found(store, workspace, chain, user) == {"user_id": user, "run_id": 1, "present": True}
    assert [found(store, workspace, chain, user) for user in ("", "7", f"{users[0]}0", "zoé")] == [None] * 4


def test_only_the_pieces_around_the_user_are_read(store: Store, workspace: Workspace) -> None:
    a_store_with(store)
    chain = save(store, the_audience(), write_snapshot_file(workspace, BASE, LARGE))
    (first,) = workspace.one(f"select min(user_id) from ({LARGE})")
    reads = list[str]()
    event.listen(store.engine, "before_cursor_execute", lambda *said: reads.append(said[2]))
    assert found(store, workspace, chain, first) is not None
    with store.reading() as connection:
        pieces = connection.execute(select(func.count()).select_from(snapshot_file_chunks)).scalar_one()
    assert (sum("snapshot_file_chunks.content" in read for read in reads), pieces) == (2, 4)


@pytest.mark.parametrize("user", HOSTILE)
def test_an_id_is_found_as_it_is_written(store: Store, workspace: Workspace, user: str) -> None:
    a_store_with(store)
    chain = save(store, the_audience(), base(workspace, 1, HOSTILE))
    assert found(store, workspace, chain, user) == {"user_id": user, "run_id": 1, "present": True}


def test_a_base_without_rows_has_nobody_and_deltas_are_not_asked(store: Store, workspace: Workspace) -> None:
    a_store_with(store, runs_so_far=2)
    chain = save(store, the_audience(), base(workspace, 1, []))
    save(store, the_audience(id=chain), delta(workspace, 2, {"ann": True}), run=2)
    assert found(store, workspace, chain, "ann") is None


def test_a_damaged_file_is_said_to_be_damaged(store: Store, workspace: Workspace) -> None:
    a_store_with(store)
    chain = save(store, the_audience(), base(workspace, 1, ["ann"]))
    with store.writing() as connection:
        connection.execute(update(snapshot_file_chunks).values(content=b"PAR1 is not what was written PAR1"))
    with pytest.raises(StoreDamagedError, match="The store is damaged"):
        found(store, workspace, chain, "ann")
