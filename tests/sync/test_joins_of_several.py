"""Buckets, and one join for several audiences, find what a join of each finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from audience_sync.model import PropertyKind, RunId
from audience_sync.sql import Condition
from audience_sync.store.snapshots.chain import Chain
from audience_sync.sync.diff import members
from audience_sync.sync.diff.members import MembersDiff, diff_members, diff_several, drop_unchanged_buckets
from audience_sync.sync.diff.snapshot_files import members_change
from audience_sync.workspace import Workspace

ANYBODY = st.sampled_from([None, "", "ann", "Ann", "ben", "eve", "é", *map(str, range(40))])
PLACES = 3
#: Of each audience the snapshots of some runs: rows with duplicates, and some without an id.
RUNS = st.lists(st.lists(st.lists(ANYBODY, max_size=30), min_size=PLACES, max_size=PLACES), min_size=1, max_size=5)

Rows = Sequence[str | None]


def with_examples(size: int) -> settings:
    fixture = HealthCheck.function_scoped_fixture
    return settings(max_examples=size, deadline=None, suppress_health_check=[HealthCheck.too_slow, fixture])


def snapshot_of(workspace: Workspace, audiences: Sequence[Rows]) -> str:
    table = workspace.name("source")
    workspace.run(f"create table {table} (audience integer, user_id varchar)")
    rows = [[audience, user] for audience, users in enumerate(audiences) for user in users]
    if rows:
        workspace.connection.executemany(f"insert into {table} values (?, ?)", rows)
    return f"select audience, user_id from {table}"


def found(workspace: Workspace, diff: MembersDiff) -> tuple[Mapping[str, bool], int, int, int]:
    rows = workspace.all(f"select user_id, present from {diff.table}")
    assert len(dict(rows)) == len(rows)
    return dict(rows), diff.entered, diff.left, diff.invalid


def expected(before: set[str], rows: Rows) -> tuple[Mapping[str, bool], int, int, int]:
    now = {user for user in rows if user is not None}
    return {user: user in now for user in before ^ now}, len(now - before), len(before - now), rows.count(None)


@pytest.mark.parametrize("narrows", [False, True])
@given(runs=RUNS)
@example(runs=[[[], [], ["eve", "19"]], [[], ["eve", "19"], []]])  # two users move from one audience to another
@with_examples(25)
def test_each_audience_gets_what_differs_of_it(narrows: bool, runs: Sequence[Sequence[Rows]]) -> None:
    with Workspace(0, ["/"]) as workspace, pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "MANY_USERS", 0 if narrows else 1_000)
        chains = [
            Chain(id=None, kind=PropertyKind.AUDIENCE, keys=(f"audience_{audience}",), user_count=0)
            for audience in range(PLACES)
        ]
        before = [set[str]() for _ in chains]
        for run, audiences in enumerate(runs, 1):
            diffs = diff_several(workspace, snapshot_of(workspace, audiences), chains)
            for audience, (diff, rows) in enumerate(zip(diffs, audiences, strict=True)):
                assert found(workspace, diff) == expected(before[audience], rows)
                change = members_change(workspace, chains[audience], diff, RunId(run))
                chains[audience] = replace(change.chain, id=1) if change else chains[audience]
                before[audience] = {user for user in rows if user is not None}


@given(runs=RUNS)
@with_examples(25)
def test_an_audience_that_is_narrowed_is_the_same(runs: Sequence[Sequence[Rows]]) -> None:
    with Workspace(0, ["/"]) as workspace, pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "MANY_USERS", 0)
        chain, before = Chain(id=None, kind=PropertyKind.AUDIENCE, keys=("vip",), user_count=0), set[str]()
        for run, (rows, *_) in enumerate(runs, 1):
            diff = diff_members(workspace, snapshot_of(workspace, [rows]), chain, rereadable=True)
            assert found(workspace, diff) == expected(before, rows)
            change = members_change(workspace, chain, diff, RunId(run))
            chain, before = (
                replace(change.chain, id=1) if change else chain,
                {user for user in rows if user is not None},
            )


def test_few_users_are_left_to_join(workspace: Workspace) -> None:
    """What buckets are for: of 100,000 users, two of whom changed, some sixteen are joined."""
    old = "select 'user ' || i as user_id from range(100_000) t(i)"
    new = "select 'user ' || i as user_id from range(1, 100_001) t(i)"
    sides = drop_unchanged_buckets(workspace, new, old, ("user_id",), 100_000)
    left = [workspace.one(f"select count(*) from ({each})")[0] for each in sides]
    assert all(1 <= each < 100 for each in left)


@pytest.mark.parametrize("twice", ["eve", None])
def test_what_is_twice_does_not_cancel_itself(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, twice: str | None
) -> None:
    monkeypatch.setattr(members, "MANY_USERS", 0)
    first = diff_members(
        workspace,
        snapshot_of(workspace, [["ann"]]),
        Chain(id=None, kind=PropertyKind.AUDIENCE, keys=("vip",), user_count=0),
    )
    change = members_change(
        workspace, Chain(id=None, kind=PropertyKind.AUDIENCE, keys=("vip",), user_count=0), first, RunId(1)
    )
    assert change
    snapshot = ["ann", twice, twice]
    diff = diff_members(workspace, snapshot_of(workspace, [snapshot]), change.chain, rereadable=True)
    assert found(workspace, diff) == expected({"ann"}, snapshot)


def test_who_is_erased_does_not_come_back(workspace: Workspace) -> None:
    chains = [Chain(id=None, kind=PropertyKind.AUDIENCE, keys=("vip",), user_count=0)]
    (diff,) = diff_several(
        workspace, snapshot_of(workspace, [["ann", "ben"]]), chains, erased=Condition("user_id = 'ann'")
    )
    assert found(workspace, diff) == ({"ben": True}, 1, 0, 0)
