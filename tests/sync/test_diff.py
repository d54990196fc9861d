"""Old snapshot + changes = new snapshot, for any ids and any values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from audience_sync.model import ChangeCounts, PropertyKind, RunId
from audience_sync.sources.base import UncheckedRows
from audience_sync.sources.values.user_ids import valid_id
from audience_sync.sql import Condition, Expression, TableName, quote_identifier
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.sync.diff import snapshot_files as prepare
from audience_sync.sync.diff.members import diff_members
from audience_sync.sync.diff.snapshot_files import members_change, traits_change
from audience_sync.sync.diff.traits import (
    ALL_TRAITS,
    deduplicate_users,
    diff_traits,
    diff_unchecked_traits,
    write_first_values,
)
from audience_sync.sync.values.change_set import ChainChange
from audience_sync.workspace import Workspace

ODD_IDS = (
    *("", " ", "a", " a", "a ", "A", "007", "7", "1e5", "100000", "-0", "0", "NULL", "null", "NaN", "None"),
    *("true", "'", "''", '"', "a,b", "a\nb", "a\r\nb", "a\tb", "\\", "%", "é", "e\u0301", "日本", "😀", "\u200b"),
    *("\ufeff", "\U0010ffff", "x" * 2500, "12345678901234567890", "--", ";", "{}", "$1", "?"),
)
IDS = st.one_of(
    st.sampled_from(ODD_IDS), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
)
#: JSON text, as sources give it.
VALUES = st.sampled_from(
    (None, "null", '""', '"a"', '"NULL"', "1", "1.0", '"1"', "true", '"true"', "false", "0", "-0", "[]", '{"a":1}')
)
AUDIENCE = Chain(id=None, kind=PropertyKind.AUDIENCE, keys=("vip",), user_count=0)

Snapshot = Mapping[str, Sequence[str | None]]


def with_examples(size: int = 30) -> settings:
    return settings(max_examples=size, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def ids_table(workspace: Workspace, users: Collection[str | None]) -> str:
    table = workspace.name("source")
    workspace.run(f"create table {table} (user_id varchar)")
    if users:
        workspace.connection.executemany(f"insert into {table} values (?)", [[user] for user in users])
    return f"select user_id from {table}"


def traits_table(workspace: Workspace, keys: Sequence[str], rows: Sequence[Sequence[str | None]]) -> TableName:
    """``rows``: a user id, and a value for each key."""
    table = workspace.name("source")
    columns = ", ".join(f"{quote_identifier(key)} varchar" for key in keys)
    workspace.run(f"create table {table} (user_id varchar, {columns})")
    marks = ", ".join("?" for _ in ("user_id", *keys))
    if rows:
        workspace.connection.executemany(f"insert into {table} values ({marks})", [list(row) for row in rows])
    return table


def committed(change: ChainChange | None, before: Chain) -> Chain:
    return replace(change.chain, id=1) if change else before


def members(workspace: Workspace, chain: Chain) -> list[str]:
    return sorted(user for (user,) in workspace.all(f"select user_id from ({current_rows_query(chain)})"))


def members_run(
    workspace: Workspace, chain: Chain, users: Collection[str | None], run: int
) -> tuple[Chain, list[tuple[Any, ...]]]:
    """The chain after a run over this snapshot, and what the run logged."""
    diff = diff_members(workspace, ids_table(workspace, users), chain, run=RunId(run))
    change = members_change(workspace, chain, diff, RunId(run))
    log = workspace.all(f"select user_id, key, value from {change.log}") if change and change.log else []
    return committed(change, chain), sorted(log)


def values(workspace: Workspace, chain: Chain) -> dict[str, tuple[str | None, ...]]:
    columns = ", ".join(trait_column(key) for key in chain.keys)
    rows = workspace.all(f"select user_id, {columns} from ({current_rows_query(chain)})")
    assert len(rows) == len({row[0] for row in rows})
    return {user: row for user, *found in rows for row in [tuple(found)]}


def traits_run(
    workspace: Workspace, chain: Chain, keys: Sequence[str], snapshot: Snapshot, run: int
) -> tuple[Chain, list[tuple[Any, ...]], Mapping[str, ChangeCounts]]:
    """The chain after a run over this snapshot, what the run logged, and who would lose values."""
    table = traits_table(workspace, keys, [(user, *row) for user, row in snapshot.items()])
    diff = diff_traits(workspace, table, chain, keys)
    change = traits_change(workspace, chain, diff, RunId(run))
    log = workspace.all(f"select user_id, key, value from {change.log}") if change and change.log else []
    return committed(change, chain), sorted(log, key=str), diff.lost


# Members.


@given(old=st.sets(IDS), new=st.lists(IDS))
@with_examples()
def test_old_members_and_changes_are_the_new_members(old: set[str], new: list[str]) -> None:
    with Workspace(0, ["/"]) as workspace:
        chain, _ = members_run(workspace, AUDIENCE, old, 1)
        diff = diff_members(workspace, ids_table(workspace, new), chain)
        changed = dict(workspace.all(f"select user_id, present from {diff.table}"))
    assert changed == {user: user in new for user in old ^ set(new)}
    assert (diff.entered, diff.left, diff.invalid) == (len(set(new) - old), len(old - set(new)), 0)


@given(snapshots=st.lists(st.sets(IDS, max_size=8), min_size=1, max_size=6))
@with_examples()
def test_after_any_runs_the_stored_members_are_the_last_snapshot(snapshots: list[set[str]]) -> None:
    with Workspace(0, ["/"]) as workspace:
        chain, before = AUDIENCE, set[str]()
        for run, snapshot in enumerate(snapshots, 1):
            chain, log = members_run(workspace, chain, snapshot, run)
            changed = [(user, "vip", "true" if user in snapshot else "false") for user in before ^ snapshot]
            assert log == ([] if run == 1 else sorted(changed))
            before = snapshot
        assert members(workspace, chain) == sorted(snapshots[-1])
        assert chain.user_count == len(snapshots[-1])


def test_rows_without_an_id_are_counted_and_change_nothing(workspace: Workspace) -> None:
    chain, _ = members_run(workspace, AUDIENCE, ["ann"], 1)
    diff = diff_members(workspace, ids_table(workspace, ["ann", None, None]), chain)
    assert (diff.entered, diff.left, diff.invalid) == (0, 0, 2)


def test_a_duplicate_counts_once(workspace: Workspace) -> None:
    chain, _ = members_run(workspace, AUDIENCE, ["ann", "ann"], 1)
    assert chain.user_count == 1
    diff = diff_members(workspace, ids_table(workspace, ["ann", "ann", "bob", "bob", "bob"]), chain)
    assert (diff.entered, diff.left) == (1, 0)


def test_an_unchanged_audience_writes_nothing(workspace: Workspace) -> None:
    chain, _ = members_run(workspace, AUDIENCE, ["ann"], 1)
    diff = diff_members(workspace, ids_table(workspace, ["ann"]), chain)
    assert members_change(workspace, chain, diff, RunId(2)) is None


def test_an_empty_first_creation_is_stored(workspace: Workspace) -> None:
    chain, log = members_run(workspace, AUDIENCE, [], 1)
    assert (len(chain.files), chain.user_count, log) == (1, 0, [])


def test_a_member_is_one_since_the_run_it_entered(workspace: Workspace) -> None:
    chain = AUDIENCE
    for run, snapshot in enumerate((["ann", "bob"], ["ann"], ["ann", "bob"]), 1):
        chain, _ = members_run(workspace, chain, snapshot, run)
    rows = workspace.all(f"select user_id, run_id from ({current_rows_query(chain)}) order by user_id")
    assert rows == [("ann", 1), ("bob", 3)]


def test_a_few_deltas_become_a_new_base(workspace: Workspace) -> None:
    chain = AUDIENCE
    kinds = []
    for run in range(1, prepare.MOST_DELTAS + 3):
        chain, _ = members_run(workspace, chain, ["ann", f"user {run}"], run)
        kinds.append([segment.kind for segment in chain.files])
    assert kinds[-3:] == [["base", *["delta"] * (prepare.MOST_DELTAS - 1)], ["base"], ["base", "delta"]]
    assert members(workspace, chain) == ["ann", f"user {prepare.MOST_DELTAS + 2}"]
    since = workspace.all(f"select run_id from ({current_rows_query(chain)}) where user_id = 'ann'")
    assert since == [(1,)]  # folding keeps since when


def test_a_large_delta_becomes_a_new_base(workspace: Workspace) -> None:
    chain, _ = members_run(workspace, AUDIENCE, ["ann"], 1)
    chain, log = members_run(workspace, chain, ["ann", *(f"user {number}" for number in range(251))], 2)
    assert [(segment.kind, segment.rows) for segment in chain.files] == [("base", 252)]
    assert len(log) == 251


# Traits.

KEYS = ("name", "firstName", "age")


def rows_of(keys: Sequence[str]) -> st.SearchStrategy[dict[str, tuple[str | None, ...]]]:
    return st.dictionaries(IDS, st.tuples(*[VALUES] * len(keys)), max_size=6)


def said(snapshot: Snapshot) -> dict[str, tuple[str | None, ...]]:
    """Users who have any value at all."""
    return {user: tuple(row) for user, row in snapshot.items() if any(value is not None for value in row)}


def differences(old: Snapshot, new: Snapshot, keys: Sequence[str]) -> list[tuple[str, str, str | None]]:
    nothing = [None] * len(keys)
    return sorted(
        [
            (user, key, now)
            for user in old.keys() | new.keys()
            for key, was, now in zip(keys, old.get(user, nothing), new.get(user, nothing), strict=True)
            if was != now
        ],
        key=str,
    )


def losses(old: Snapshot, new: Snapshot, keys: Sequence[str]) -> dict[str, ChangeCounts]:
    """Of each trait, and of all together, how many users had values, and how many lose the last."""
    groups = {key: [place] for place, key in enumerate(keys)} | {ALL_TRAITS: list(range(len(keys)))}
    had, has = (
        {
            name: {user for user, row in side.items() if any(row[at] is not None for at in group)}
            for name, group in groups.items()
        }
        for side in (old, new)
    )
    return {
        name: ChangeCounts(len(had[name]), 0, len(had[name] - has[name])) for name in groups if had[name] - has[name]
    }


@given(snapshots=st.lists(rows_of(KEYS), min_size=1, max_size=5))
@with_examples()
def test_after_any_runs_the_stored_values_are_the_last_snapshot(snapshots: list[dict[str, Any]]) -> None:
    with Workspace(0, ["/"]) as workspace:
        chain = Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=KEYS, user_count=0)
        before: Snapshot = {}
        for run, snapshot in enumerate(snapshots, 1):
            chain, log, lost = traits_run(workspace, chain, KEYS, snapshot, run)
            assert log == ([] if run == 1 else differences(before, snapshot, KEYS))
            assert lost == ({} if run == 1 else losses(before, snapshot, KEYS))
            before = snapshot
        assert values(workspace, chain) == said(snapshots[-1])
        assert chain.user_count == len(said(snapshots[-1]))


@given(first=rows_of(("a", "b")), left=rows_of(("a",)), right=rows_of(("b",)))
@with_examples()
def test_two_entries_may_feed_one_chain_in_one_run(first: Snapshot, left: Snapshot, right: Snapshot) -> None:
    """A trait moved to another entry: each brings its own column, and leaves the other one's as it is."""
    with Workspace(0, ["/"]) as workspace:
        chain = Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=("a", "b"), user_count=0)
        chain, *_ = traits_run(workspace, chain, ("a", "b"), first, 1)
        chain, *_ = traits_run(workspace, chain, ("a",), left, 2)
        chain, *_ = traits_run(workspace, chain, ("b",), right, 2)
        both = {user: (*left.get(user, [None]), *right.get(user, [None])) for user in left.keys() | right.keys()}
        assert values(workspace, chain) == said(both)
        assert chain.user_count == len(said(both))


def test_a_value_of_another_type_is_another_value(workspace: Workspace) -> None:
    chain, *_ = traits_run(
        workspace,
        Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=("a",), user_count=0),
        ("a",),
        {"ann": ["1"], "bob": ["true"]},
        1,
    )
    _, log, _ = traits_run(workspace, chain, ("a",), {"ann": ['"1"'], "bob": ['"true"']}, 2)
    assert log == [("ann", "a", '"1"'), ("bob", "a", '"true"')]


def test_users_with_values_are_counted_by_whether_they_have_any(workspace: Workspace) -> None:
    chain, *_ = traits_run(
        workspace,
        Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=("a", "b"), user_count=0),
        ("a", "b"),
        {"ann": ["1", "2"], "bob": ["1", None]},
        1,
    )
    table = traits_table(workspace, ["a"], [("cem", "1")])
    diff = diff_traits(workspace, table, chain, ["a"])
    assert (diff.users, diff.entered, diff.left) == (3, 1, 1)  # ann keeps b


# Ids that are checked after the join.

INVALID_IDS = (None, "", " ", "\u2003", "a\0b", "x" * 2501)
SOME_IDS = st.sampled_from(("ann", "bob", "cem", " a", "é", "x" * 2500))
UNCHECKED_IDS = SOME_IDS | st.sampled_from(INVALID_IDS)
VALID_ID = valid_id(Expression("user_id"))


@given(old=st.sets(SOME_IDS), new=st.lists(UNCHECKED_IDS, max_size=12))
@with_examples()
def test_members_with_unchecked_ids_have_the_diff_of_the_valid_ones(old: set[str], new: list[str | None]) -> None:
    with Workspace(0, ["/"]) as workspace:
        chain, _ = members_run(workspace, AUDIENCE, old, 1)
        diff = diff_members(workspace, ids_table(workspace, new), chain, valid_id=VALID_ID)
        changed = dict(workspace.all(f"select user_id, present from {diff.table}"))
    valid = {user for user in new if user is not None and user not in INVALID_IDS}
    assert changed == {user: user in valid for user in old ^ valid}
    assert diff.invalid == sum(user in INVALID_IDS for user in new)


@given(new=st.lists(UNCHECKED_IDS, max_size=12))
@with_examples()
def test_the_first_members_are_the_valid_ones_that_are_not_erased(new: list[str | None]) -> None:
    with Workspace(0, ["/"]) as workspace:
        rows, erased = ids_table(workspace, new), Condition("user_id = 'bob'")
        diff = diff_members(workspace, rows, AUDIENCE, valid_id=VALID_ID, erased=erased, run=RunId(1))
        change = members_change(workspace, AUDIENCE, diff, RunId(1))
        assert change is not None
        found = workspace.all(f"select user_id, run_id, present from ({current_rows_query(change.chain)})")
        assert workspace.all(f"from {diff.table}") == [(user, present) for user, _, present in found]
    valid = {user for user in new if user is not None and user not in {*INVALID_IDS, "bob"}}
    assert found == [(user, 1, True) for user in sorted(valid)]
    assert (diff.entered, diff.left, diff.invalid) == (len(valid), 0, sum(user in INVALID_IDS for user in new))


def test_a_first_base_of_several_row_groups_is_sorted_and_has_each_user_once(workspace: Workspace) -> None:
    snapshot = "select hash(i % 300_000)::varchar as user_id from range(700_000) t(i)"
    base = diff_members(workspace, snapshot, AUDIENCE, run=RunId(1)).base
    assert base is not None
    file = f"read_parquet('{base.path}', file_row_number = true)"
    users = [user for (user,) in workspace.all(f"select user_id from {file} order by file_row_number")]
    assert (len(users), users) == (300_000, sorted(set(users)))


@given(new=st.lists(st.tuples(UNCHECKED_IDS, VALUES, VALUES), max_size=6))
@with_examples(100)
def test_first_values_are_a_base_if_each_row_is_a_valid_user_of_its_own_with_a_value(
    new: list[tuple[str | None, str | None, str | None]],
) -> None:
    users = [user for user, *_ in new]
    is_base = len({*users}) == len(users) and not any(user in INVALID_IDS for user in users)
    with Workspace(0, ["/"]) as workspace:
        rows = UncheckedRows(select=f"from {traits_table(workspace, ('a', 'b'), new)}", valid_id=VALID_ID)
        base, diff = write_first_values(workspace, rows, ("a", "b"), RunId(1))
        assert (diff is not None) == (is_base and all(a is not None or b is not None for _, a, b in new))
        found = workspace.all(f"select user_id, trait_a, trait_b from read_parquet('{base.path}')")
        if diff is not None:
            assert workspace.all(f"select user_id, trait_a, trait_b from {diff.table}") == found == sorted(new)
            assert (diff.users, diff.entered, diff.left, diff.log) == (len(new), len(new), 0, None)
    assert Counter(found) == Counter((None if user in INVALID_IDS else user, *each) for user, *each in new)


@given(
    old=st.dictionaries(SOME_IDS, st.tuples(VALUES, VALUES)),
    new=st.lists(st.tuples(UNCHECKED_IDS, VALUES, VALUES), max_size=12),
)
@with_examples(100)
def test_values_with_unchecked_ids_have_the_diff_of_one_valid_row_a_user(
    old: Snapshot, new: list[tuple[str | None, str | None, str | None]]
) -> None:
    rows: dict[str, list[tuple[str | None, ...]]] = {}
    for user, *found in new:
        if user is not None and user not in INVALID_IDS:
            rows.setdefault(user, []).append(tuple(found))
    one = {
        user: max(each, key=lambda row: [(value is not None, value) for value in row]) for user, each in rows.items()
    }
    with Workspace(0, ["/"]) as workspace:
        chain = Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=("a", "b"), user_count=0)
        chain, *_ = traits_run(workspace, chain, ("a", "b"), old, 1)
        table = traits_table(workspace, ("a", "b"), new)
        unchecked = UncheckedRows(select=f"from {table}", valid_id=VALID_ID, row_count=len(new))
        diff = diff_unchecked_traits(workspace, unchecked, chain, ("a", "b"), columns=("a", "b"))
        log = workspace.all(f"select user_id, key, value from {diff.log}")
        chain = committed(traits_change(workspace, chain, diff, RunId(2)), chain)
        assert values(workspace, chain) == said(one)
    assert chain.user_count == len(said(one))
    assert sorted(log, key=str) == differences(old, one, ("a", "b"))
    assert diff.lost == losses(old, one, ("a", "b"))
    assert diff.invalid == sum(user in INVALID_IDS for user, *_ in new)
    assert diff.differing == sum(len(set(each)) > 1 for each in rows.values())


def test_one_of_two_traits_is_diffed_by_the_row_that_all_traits_choose(workspace: Workspace) -> None:
    chain = Chain(id=None, kind=PropertyKind.COMPUTED_TRAIT, keys=("a", "b"), user_count=0)
    chain, *_ = traits_run(workspace, chain, ("a", "b"), {"ann": ["1", "1"]}, 1)
    table = traits_table(workspace, ("a", "b"), [("ann", "3", "2"), ("ann", "2", "9")])
    unchecked = UncheckedRows(select=f"from {table}", valid_id=VALID_ID, row_count=2)
    diff = diff_unchecked_traits(workspace, unchecked, chain, ("b",), columns=("a", "b"))
    assert workspace.all(f"select user_id, key, value, before from {diff.log}") == [("ann", "b", "2", "1")]


# Several rows of one user.


def test_a_user_with_equal_rows_counts_once(workspace: Workspace) -> None:
    table, differing = deduplicate_users(
        workspace, f"select * from {traits_table(workspace, ['a'], [('ann', '1'), ('ann', '1')])}", ["a"]
    )
    assert (workspace.all(f"select * from {table}"), differing) == ([("ann", "1")], 0)


@pytest.mark.parametrize(
    "rows", [[("ann", "1"), ("ann", "2"), ("bob", "3")], [("bob", "3"), ("ann", "2"), ("ann", "1")]]
)
def test_of_rows_that_differ_the_greatest_counts_in_whatever_order(
    workspace: Workspace, rows: list[tuple[str, str]]
) -> None:
    table, differing = deduplicate_users(workspace, f"select * from {traits_table(workspace, ['a'], rows)}", ["a"])
    assert sorted(workspace.all(f"select user_id, a from {table}")) == [("ann", "2"), ("bob", "3")]
    assert differing == 1


def test_rows_without_an_id_stay_to_be_counted(workspace: Workspace) -> None:
    rows = [(None, "1"), (None, "2"), ("ann", "1"), ("ann", "1")]
    table, differing = deduplicate_users(workspace, f"select * from {traits_table(workspace, ['a'], rows)}", ["a"])
    assert workspace.one(f"select count(*), count(user_id) from {table}") == (3, 1)
    assert differing == 0
