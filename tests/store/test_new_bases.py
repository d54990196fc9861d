"""Deltas of an audience become part of a new base, and the audience stays the same."""

from __future__ import annotations

import pytest

from audience_sync.history.members import members_of
from audience_sync.model import RunId
from audience_sync.sql import quote_literal
from audience_sync.store.connection import engine
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots.chain import Chain
from audience_sync.sync.diff.members import diff_members
from audience_sync.sync.diff.snapshot_files import members_change
from audience_sync.sync.values.change_set import ChainChange
from audience_sync.workspace import Workspace

from .examples import a_store_with, members, save, the_audience

THOUSANDS = "select 'user ' || i as user_id from range(10_000) t(i)"


def take(workspace: Workspace, chain: Chain, snapshot: str, run: int) -> ChainChange:
    change = members_change(workspace, chain, diff_members(workspace, snapshot, chain), RunId(run))
    assert change is not None
    return change


def these(*users: str) -> str:
    return f"select * from (values {', '.join(f'({quote_literal(user)})' for user in users)}) as t(user_id)"


def kinds(change: ChainChange) -> list[str]:
    return [segment.kind for segment in change.chain.files]


@pytest.fixture
def known(workspace: Workspace) -> Chain:
    """An audience of 10,000 users, as run 1 created it."""
    chain = take(workspace, the_audience(), THOUSANDS, 1).chain
    return Chain(id=1, kind=chain.kind, keys=chain.keys, user_count=chain.user_count, files=chain.files)


def test_a_first_creation_is_a_base(workspace: Workspace) -> None:
    change = take(workspace, the_audience(), these("ann", "ben"), 1)
    assert kinds(change) == ["base"]
    assert change.chain.user_count == 2


def test_nothing_changed_is_nothing_written(workspace: Workspace, known: Chain) -> None:
    assert members_change(workspace, known, diff_members(workspace, THOUSANDS, known), RunId(2)) is None


def test_a_few_changes_are_a_delta(workspace: Workspace, known: Chain) -> None:
    change = take(workspace, known, f"{THOUSANDS} union all {these('ann')}", 2)
    assert kinds(change) == ["base", "delta"]
    assert change.chain.user_count == 10_001


def test_the_twelfth_delta_is_folded(workspace: Workspace, known: Chain) -> None:
    chain = known
    found = []
    for run in range(2, 14):
        change = take(workspace, chain, f"{THOUSANDS} union all {these(f'new {run}')}", run)
        found.append(len(kinds(change)))
        chain = change.chain
    assert found == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1]


def test_deltas_of_more_than_a_quarter_of_the_users_are_folded(workspace: Workspace, known: Chain) -> None:
    assert kinds(take(workspace, known, f"{THOUSANDS} where i < 8_000", 2)) == ["base", "delta"]
    assert kinds(take(workspace, known, f"{THOUSANDS} where i < 7_000", 2)) == ["base"]


def test_after_folding_everyone_is_a_member_since_the_same_run(store: Store, workspace: Workspace) -> None:
    a_store_with(store, runs_so_far=2)
    first = take(workspace, the_audience(), these("ann", "ben"), 1)
    chain = the_audience(id=save(store, first.chain, *first.files), users=2)
    known = Chain(id=chain.id, kind=chain.kind, keys=chain.keys, user_count=2, files=first.chain.files)
    second = take(workspace, known, f"{these('ben')} union all {THOUSANDS} where i < 600", 2)
    assert kinds(second) == ["base"]
    save(store, second.chain, *second.files, run=2)
    after = members(store, workspace, chain)
    assert after[:2] == [("ben", 1), ("user 0", 2)]
    assert len(after) == 601


def test_a_list_of_members_that_is_read_slowly_keeps_nobody_from_writing(
    store: Store, other_process: Store, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 0)
    a_store_with(store, runs_so_far=1, audiences=["vip"])
    first = take(workspace, the_audience(id=1), these("ann"), 1)
    save(store, first.chain, *first.files)
    listed = members_of(store, "vip", at=None, memory_limit=768_000_000)
    assert bytes(next(listed).lines) == b"ann,2026-03-02T06:00:00Z\n"
    a_store_with(other_process)
    assert list(listed) == []
