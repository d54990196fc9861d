"""The progress of an unfinished delivery, compared with a table of one row a user."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_sync.delivery.state.ranges import Range, delivered_run_sql, intersect, merge_range
from audience_sync.sql import quote_literal
from audience_sync.workspace import Workspace

POSITION = 3
USERS = ("Anna", "O'Neil", "a", "b", "ba", "c", "z", "é", "日本", "😀")
#: The bounds of a batch: before all users, or a user.
BOUNDS = ("", *USERS)


@st.composite
def new_ranges(draw: st.DrawFn) -> Range:
    after, through = sorted(draw(st.sets(st.sampled_from(BOUNDS), min_size=2, max_size=2)))
    return Range(after, through, draw(st.integers(4, 7)))


HISTORIES = st.lists(new_ranges(), max_size=8)


def merged(history: list[Range]) -> tuple[Range, ...]:
    ranges: tuple[Range, ...] = ()
    for each in history:
        ranges = merge_range(ranges, each)
    return ranges


def expected_runs(history: list[Range]) -> dict[str, int]:
    runs = dict.fromkeys(USERS, POSITION)
    for each in history:
        runs |= {user: each.run for user in USERS if each.after < user <= each.through}
    return runs


@given(HISTORIES)
def test_every_user_has_the_run_of_the_last_range_that_covers_them(history: list[Range]) -> None:
    ranges = merged(history)
    found = {user: [each.run for each in ranges if each.after < user <= each.through] for user in USERS}
    assert {user: runs or [POSITION] for user, runs in found.items()} == {
        user: [run] for user, run in expected_runs(history).items()
    }


@given(HISTORIES)
def test_ranges_stay_sorted_and_disjoint(history: list[Range]) -> None:
    ranges = merged(history)
    assert all(each.after < each.through for each in ranges)
    assert all(left.through <= right.after for left, right in pairwise(ranges))


@given(HISTORIES)
def test_neighbours_of_one_run_are_one_range(history: list[Range]) -> None:
    ranges = merged(history)
    touching = [pair for pair in pairwise(ranges) if pair[0].through == pair[1].after]
    assert all(left.run != right.run for left, right in touching)


def test_sql_and_python_agree_on_the_users_of_a_range() -> None:
    users = ", ".join(f"({quote_literal(user)})" for user in USERS)
    with Workspace(0, ["/"]) as workspace:

        @given(HISTORIES)
        def agree(history: list[Range]) -> None:
            query = f"select user_id, {delivered_run_sql(merged(history), POSITION)} from (values {users}) t(user_id)"
            assert dict(workspace.all(query)) == expected_runs(history)

        agree()


@pytest.mark.parametrize(
    ("history", "ranges"),
    [
        pytest.param([Range("", "c", 5)], [Range("", "c", 5)], id="the first batch"),
        pytest.param([Range("", "c", 5), Range("c", "m", 5)], [Range("", "m", 5)], id="the next batch"),
        pytest.param(
            [Range("c", "m", 5), Range("", "c", 5)], [Range("", "m", 5)], id="the second batch is answered first"
        ),
        pytest.param(
            [Range("", "c", 5), Range("m", "z", 5)],
            [Range("", "c", 5), Range("m", "z", 5)],
            id="a batch between them has no answer yet",
        ),
        pytest.param(
            [Range("", "z", 5), Range("c", "m", 6)],
            [Range("", "c", 5), Range("c", "m", 6), Range("m", "z", 5)],
            id="a later run delivers the middle",
        ),
        pytest.param([Range("c", "m", 5), Range("", "z", 6)], [Range("", "z", 6)], id="a later run delivers all"),
        pytest.param(
            [Range("", "f", 5), Range("", "c", 6)],
            [Range("", "c", 6), Range("c", "f", 5)],
            id="a later run gets less far",
        ),
    ],
)
def test_a_range_replaces_the_earlier_ones_where_they_overlap(history: list[Range], ranges: list[Range]) -> None:
    assert list(merged(history)) == ranges


@pytest.mark.parametrize(
    ("new", "parts"),
    [
        pytest.param(Range("d", "m", 6), [], id="between them"),
        pytest.param(Range("a", "b", 6), [Range("a", "b", 6)], id="inside one"),
        pytest.param(Range("", "z", 6), [Range("", "c", 6), Range("m", "s", 6)], id="over both"),
        pytest.param(Range("b", "n", 6), [Range("b", "c", 6), Range("m", "n", 6)], id="from one into the other"),
    ],
)
def test_the_intersection_has_the_parts_of_a_range_that_lie_in_the_others(new: Range, parts: list[Range]) -> None:
    assert intersect(new, [Range("", "c", 5), Range("m", "s", 5)]) == parts
