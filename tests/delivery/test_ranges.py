"""How far has an unfinished delivery got? Against a table with one row a user."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_sync.delivery.state.ranges import Range, delivered_run_sql, intersect, merge_range
from audience_sync.workspace import Workspace, quote_literal

POSITION = 3
USERS = ("Anna", "O'Neil", "a", "b", "ba", "c", "z", "é", "日本", "😀")
#: What a batch can begin after: nobody, or a user.
PLACES = ("", *USERS)


@st.composite
def new_ranges(draw: st.DrawFn) -> Range:
    after, through = sorted(draw(st.sets(st.sampled_from(PLACES), min_size=2, max_size=2)))
    return Range(after, through, draw(st.integers(4, 7)))


HISTORIES = st.lists(new_ranges(), max_size=8)


def laid(history: list[Range]) -> tuple[Range, ...]:
    ranges: tuple[Range, ...] = ()
    for each in history:
        ranges = merge_range(ranges, each)
    return ranges


def modelled(history: list[Range]) -> dict[str, int]:
    told = dict.fromkeys(USERS, POSITION)
    for each in history:
        told |= {user: each.run for user in USERS if each.after < user <= each.through}
    return told


@given(HISTORIES)
def test_every_user_is_told_what_the_last_range_over_them_says(history: list[Range]) -> None:
    ranges = laid(history)
    found = {user: [each.run for each in ranges if each.after < user <= each.through] for user in USERS}
    assert {user: runs or [POSITION] for user, runs in found.items()} == {
        user: [run] for user, run in modelled(history).items()
    }


@given(HISTORIES)
def test_ranges_stay_sorted_and_apart(history: list[Range]) -> None:
    ranges = laid(history)
    assert all(each.after < each.through for each in ranges)
    assert all(left.through <= right.after for left, right in pairwise(ranges))


@given(HISTORIES)
def test_neighbours_of_one_run_are_one_range(history: list[Range]) -> None:
    ranges = laid(history)
    touching = [pair for pair in pairwise(ranges) if pair[0].through == pair[1].after]
    assert all(left.run != right.run for left, right in touching)


def test_the_database_and_python_agree_on_whom_a_range_covers() -> None:
    users = ", ".join(f"({quote_literal(user)})" for user in USERS)
    with Workspace(0, ["/"]) as workspace:

        @given(HISTORIES)
        def agree(history: list[Range]) -> None:
            query = f"select user_id, {delivered_run_sql(laid(history), POSITION)} from (values {users}) t(user_id)"
            assert dict(workspace.all(query)) == modelled(history)

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
            id="a later run tells the middle",
        ),
        pytest.param([Range("c", "m", 5), Range("", "z", 6)], [Range("", "z", 6)], id="a later run tells all of them"),
        pytest.param(
            [Range("", "f", 5), Range("", "c", 6)],
            [Range("", "c", 6), Range("c", "f", 5)],
            id="a later run gets less far",
        ),
    ],
)
def test_a_range_is_laid_over_the_ones_before(history: list[Range], ranges: list[Range]) -> None:
    assert list(laid(history)) == ranges


@pytest.mark.parametrize(
    ("new", "parts"),
    [
        pytest.param(Range("d", "m", 6), [], id="between them"),
        pytest.param(Range("a", "b", 6), [Range("a", "b", 6)], id="inside one"),
        pytest.param(Range("", "z", 6), [Range("", "c", 6), Range("m", "s", 6)], id="over both"),
        pytest.param(Range("b", "n", 6), [Range("b", "c", 6), Range("m", "n", 6)], id="from one into the other"),
    ],
)
def test_of_a_range_only_what_lies_in_others_is_taken(new: Range, parts: list[Range]) -> None:
    assert intersect(new, [Range("", "c", 5), Range("m", "s", 5)]) == parts
