"""A snapshot that would change too much is held until a person decides."""

from __future__ import annotations

import pytest

from audience_sync.config.sections.guard import Guard, GuardOverride
from audience_sync.model import ChangeCounts
from audience_sync.sync.guard.limits import (
    audience_reason,
    reasons_together,
    same_difference,
    trait_reason,
    traits_reason,
)


def guard_of(**options: object) -> Guard:
    return Guard.model_validate(options)


def own_guard_of(**options: object) -> GuardOverride:
    return GuardOverride.model_validate(options)


DEFAULT = Guard()  # 30% may leave, 100% may enter, from 100 changed rows on
SHARE_OF_20 = guard_of(max_removed="20%", max_added="20%")
COUNT_OF_50 = guard_of(max_removed=50, max_added=50)
NOBODY = guard_of(max_removed=0, max_added=0)
FROM_THE_FIRST = guard_of(max_removed="20%", at_least=0)


@pytest.mark.parametrize(
    ("guard", "counts"),
    [
        pytest.param(DEFAULT, ChangeCounts(1000, 0, 0), id="nothing changed"),
        pytest.param(DEFAULT, ChangeCounts(0, 99, 0), id="a few users where there was nobody"),
        pytest.param(DEFAULT, ChangeCounts(0, 0, 0), id="nobody where there was nobody"),
        pytest.param(DEFAULT, ChangeCounts(1000, 0, 300), id="just the share that may leave"),
        pytest.param(DEFAULT, ChangeCounts(1000, 1000, 0), id="just the share that may enter"),
        pytest.param(DEFAULT, ChangeCounts(120, 0, 99), id="a small audience, too few for a share"),
        pytest.param(DEFAULT, ChangeCounts(10, 99, 10), id="a small audience that was replaced"),
        pytest.param(COUNT_OF_50, ChangeCounts(60, 0, 50), id="just the count that may leave"),
        pytest.param(COUNT_OF_50, ChangeCounts(1, 50, 0), id="just the count that may enter"),
        pytest.param(NOBODY, ChangeCounts(10, 0, 0), id="nobody may move, nobody does"),
        pytest.param(FROM_THE_FIRST, ChangeCounts(10, 0, 2), id="a small audience within its share"),
    ],
)
def test_a_snapshot_may_go_through(guard: Guard, counts: ChangeCounts) -> None:
    assert audience_reason("vip", counts, guard) is None


@pytest.mark.parametrize(
    ("guard", "counts", "reason"),
    [
        pytest.param(
            DEFAULT,
            ChangeCounts(3, 0, 3),
            "audience 'vip' is held: the new snapshot is empty, and the last one had 3 members",
            id="an empty snapshot, however small",
        ),
        pytest.param(
            guard_of(max_removed="100%"),
            ChangeCounts(5000, 0, 5000),
            "audience 'vip' is held: the new snapshot is empty, and the last one had 5,000 members",
            id="an empty snapshot, even where all may leave",
        ),
        pytest.param(
            DEFAULT,
            ChangeCounts(1000, 0, 301),
            "audience 'vip' is held: the new snapshot removes 301 of 1,000 members (30%), and the limit is 30%",
            id="one more than may leave",
        ),
        pytest.param(
            DEFAULT,
            ChangeCounts(1000, 1001, 0),
            "audience 'vip' is held: the new snapshot adds 1,001 users to its 1,000 members, and the limit is 100%",
            id="one more than may enter",
        ),
        pytest.param(
            DEFAULT,
            ChangeCounts(200, 200, 200),
            "audience 'vip' is held: the new snapshot removes 200 of 200 members (100%), and the limit is 30%",
            id="all were replaced",
        ),
        pytest.param(
            DEFAULT,
            ChangeCounts(150, 0, 100),
            "audience 'vip' is held: the new snapshot removes 100 of 150 members (67%), and the limit is 30%",
            id="just enough rows for a share",
        ),
        pytest.param(
            COUNT_OF_50,
            ChangeCounts(1_000_000, 0, 51),
            "audience 'vip' is held: the new snapshot removes 51 of 1,000,000 members (< 1%), and the limit is 50",
            id="one over the count, however large",
        ),
        pytest.param(
            DEFAULT,
            ChangeCounts(0, 100, 0),
            "audience 'vip' is held: the new snapshot adds 100 users to its 0 members, and the limit is 100%",
            id="many users where there was nobody",
        ),
        pytest.param(
            NOBODY,
            ChangeCounts(10, 1, 0),
            "audience 'vip' is held: the new snapshot adds 1 user to its 10 members, and the limit is 0",
            id="nobody may enter",
        ),
        pytest.param(
            FROM_THE_FIRST,
            ChangeCounts(10, 0, 3),
            "audience 'vip' is held: the new snapshot removes 3 of 10 members (30%), and the limit is 20%",
            id="a small audience over its share",
        ),
    ],
)
def test_a_snapshot_is_held(guard: Guard, counts: ChangeCounts, reason: str) -> None:
    assert audience_reason("vip", counts, guard) == reason


@pytest.mark.parametrize(
    ("own", "counts", "held"),
    [
        pytest.param(own_guard_of(max_removed="50%"), ChangeCounts(1000, 0, 400), False, id="its own limit is wider"),
        pytest.param(
            own_guard_of(max_removed="50%"), ChangeCounts(1000, 300, 0), True, id="the other one is the config's"
        ),
        pytest.param(GuardOverride(at_least=500), ChangeCounts(1000, 0, 400), False, id="its own number of rows"),
    ],
)
def test_an_audience_has_its_own_guard_over_the_configs(own: GuardOverride, counts: ChangeCounts, held: bool) -> None:
    assert (audience_reason("vip", counts, own.over(SHARE_OF_20)) is not None) is held


A, B, C = ChangeCounts(50, 0, 40), ChangeCounts(50, 0, 45), ChangeCounts(50, 0, 20)
SMALL = "3 small audiences together: the new snapshots remove 105 of 150 members (70%), and their limits allow 45"
LIMITED = guard_of(together={"max_removed": 600, "max_added": "10%"})
OVER_600 = "all audiences together: the new snapshots remove 601 of 10,000 members (6%), and the limit is 600"
OVER_10 = "all audiences together: the new snapshots add 1,001 users to 10,000 members, and the limit is 10%"


@pytest.mark.parametrize(
    ("guard", "audiences", "reasons"),
    [
        pytest.param(
            DEFAULT, {"a": A, "b": B, "c": C}, {"a": SMALL, "b": SMALL, "c": SMALL}, id="small audiences, as one"
        ),
        pytest.param(DEFAULT, {"a": A, "b": ChangeCounts(50, 0, 45)}, {}, id="small audiences, too few users"),
        pytest.param(
            DEFAULT,
            {"a": A, "b": B, "c": C, "large": ChangeCounts(10_000, 0, 2_000), "still": ChangeCounts(50, 0, 0)},
            dict.fromkeys(
                "abc",
                "4 small audiences together: the new snapshots remove 105 of 200 members (52%), and their limits "
                "allow 60",
            ),
            id="who doesn't move isn't held, a large one is no excuse",
        ),
        pytest.param(
            DEFAULT,
            {"a": ChangeCounts(40, 60, 0), "b": ChangeCounts(20, 60, 0)},
            dict.fromkeys(
                "ab",
                "2 small audiences together: the new snapshots add 120 users to 60 members, and their limits allow 60",
            ),
            id="small audiences that grow",
        ),
        pytest.param(guard_of(max_removed=45), {"a": A, "b": B, "c": C}, {}, id="limits that are counts always apply"),
        pytest.param(
            LIMITED, {"a": ChangeCounts(5000, 0, 300), "b": ChangeCounts(5000, 0, 300)}, {}, id="just the count of all"
        ),
        pytest.param(
            LIMITED,
            {"a": ChangeCounts(5000, 0, 300), "b": ChangeCounts(5000, 0, 301)},
            {"a": OVER_600, "b": OVER_600},
            id="one over the count of all",
        ),
        pytest.param(
            LIMITED,
            {"a": ChangeCounts(5000, 501, 0), "b": ChangeCounts(4000, 500, 0), "c": ChangeCounts(1000, 0, 20)},
            {"a": OVER_10, "b": OVER_10},
            id="over the share of all",
        ),
        pytest.param(DEFAULT, {}, {}, id="no audiences"),
    ],
)
def test_audiences_are_guarded_together(
    guard: Guard, audiences: dict[str, ChangeCounts], reasons: dict[str, str]
) -> None:
    assert reasons_together({key: (counts, guard) for key, counts in audiences.items()}, guard) == reasons


def test_an_audience_that_may_move_freely_is_not_a_small_one() -> None:
    free = GuardOverride(at_least=500).over(DEFAULT)
    assert reasons_together({"vip": (ChangeCounts(1000, 0, 400), free)}, DEFAULT) == {}


@pytest.mark.parametrize(
    ("now", "others", "same"),
    [
        pytest.param(ChangeCounts(1000, 0, 400), 0.0, True, id="the very same"),
        pytest.param(ChangeCounts(1000, 0, 420), 0.05, True, id="just within the tolerance"),
        pytest.param(ChangeCounts(1000, 0, 421), 0.0, False, id="one more than that"),
        pytest.param(ChangeCounts(1000, 0, 379), 0.0, False, id="one less than that"),
        pytest.param(ChangeCounts(1000, 0, 400), 0.06, False, id="as many, but others"),
        pytest.param(ChangeCounts(1000, 21, 400), 0.0, False, id="others enter beside"),
    ],
)
def test_a_difference_is_the_same_within_a_tolerance(now: ChangeCounts, others: float, same: bool) -> None:
    assert same_difference(ChangeCounts(1000, 0, 400), now, others=others, tolerance=0.05) is same


def test_an_empty_snapshot_is_only_the_same_as_an_empty_one() -> None:
    nobody, almost = ChangeCounts(1000, 0, 1000), ChangeCounts(1000, 0, 999)
    assert not same_difference(nobody, almost, others=0.0, tolerance=0.05)
    assert not same_difference(almost, nobody, others=0.0, tolerance=0.05)
    assert same_difference(nobody, nobody, others=0.0, tolerance=0.0)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        pytest.param(ChangeCounts(1000, 0, 0), None, id="nobody loses a value"),
        pytest.param(ChangeCounts(1000, 0, 300), None, id="just the share that may lose it"),
        pytest.param(
            ChangeCounts(1000, 0, 301),
            "computed trait 'plan' is held: the new snapshot removes the value of 301 of 1,000 users (30%), "
            "and the limit is 30%",
            id="one more than that",
        ),
        pytest.param(ChangeCounts(3, 0, 3), None, id="the last values, of a few users"),
        pytest.param(ChangeCounts(120, 0, 99), None, id="too few for a share"),
    ],
)
def test_a_computed_trait_is_held_that_users_would_lose(counts: ChangeCounts, reason: str | None) -> None:
    assert trait_reason("plan", counts, DEFAULT) == reason


def test_traits_are_held_together_that_users_would_lose_all_of() -> None:
    assert traits_reason(["plan", "city"], ChangeCounts(1000, 0, 301), DEFAULT, is_empty=False) == (
        "computed traits plan, city are held: the new snapshot removes all values of 301 of 1,000 users (30%), "
        "and the limit is 30%"
    )
    assert traits_reason(["plan", "city"], ChangeCounts(1000, 0, 300), DEFAULT, is_empty=False) is None


def test_an_empty_snapshot_of_traits_is_held_however_few_users_there_were() -> None:
    assert traits_reason(["plan"], ChangeCounts(3, 0, 3), DEFAULT, is_empty=True) == (
        "computed trait 'plan' is held: the new snapshot is empty, and the last one had values of 3 users"
    )
    assert traits_reason(["plan", "city"], ChangeCounts(3, 0, 3), guard_of(max_removed="100%"), is_empty=True) == (
        "computed traits plan, city are held: the new snapshot is empty, and the last one had values of 3 users"
    )
