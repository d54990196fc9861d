"""Would this snapshot change too much? Then it is held until a person has looked."""

from __future__ import annotations

import pytest

from audience_sync.config.parts import Guard, GuardOverride
from audience_sync.sync.guard import Counts, hold_reason

DEFAULT = Guard()  # 30% may leave, 100% may enter, from 100 changed rows on
SHARE_OF_20 = Guard(max_removed="20%", max_added="20%")
COUNT_OF_50 = Guard(max_removed=50, max_added=50)
NOBODY = Guard(max_removed=0, max_added=0)
FROM_THE_FIRST = Guard(max_removed="20%", at_least=0)


@pytest.mark.parametrize(
    ("guard", "counts"),
    [
        pytest.param(DEFAULT, Counts(1000, 0, 0), id="nothing changed"),
        pytest.param(DEFAULT, Counts(0, 1_000_000, 0), id="a first creation, however large"),
        pytest.param(DEFAULT, Counts(0, 0, 0), id="an empty first creation"),
        pytest.param(DEFAULT, Counts(1000, 0, 300), id="just the share that may leave"),
        pytest.param(DEFAULT, Counts(1000, 1000, 0), id="just the share that may enter"),
        pytest.param(DEFAULT, Counts(120, 0, 99), id="a small audience, too few for a share"),
        pytest.param(DEFAULT, Counts(10, 99, 10), id="a small audience that was replaced"),
        pytest.param(COUNT_OF_50, Counts(60, 0, 50), id="just the count that may leave"),
        pytest.param(COUNT_OF_50, Counts(1, 50, 0), id="just the count that may enter"),
        pytest.param(NOBODY, Counts(10, 0, 0), id="nobody may move, nobody does"),
        pytest.param(FROM_THE_FIRST, Counts(10, 0, 2), id="a small audience within its share"),
    ],
)
def test_a_snapshot_may_go_through(guard: Guard, counts: Counts) -> None:
    assert hold_reason("vip", counts, guard) is None


@pytest.mark.parametrize(
    ("guard", "counts", "reason"),
    [
        pytest.param(
            DEFAULT,
            Counts(3, 0, 3),
            "audience 'vip': the new snapshot is empty, the last one had 3 members",
            id="an empty snapshot, however small",
        ),
        pytest.param(
            Guard(max_removed="100%"),
            Counts(5000, 0, 5000),
            "audience 'vip': the new snapshot is empty, the last one had 5000 members",
            id="an empty snapshot, even where all may leave",
        ),
        pytest.param(
            DEFAULT,
            Counts(1000, 0, 301),
            "audience 'vip': with the new snapshot 301 of 1000 members (30%) would leave, over the limit of 30%",
            id="one more than may leave",
        ),
        pytest.param(
            DEFAULT,
            Counts(1000, 1001, 0),
            "audience 'vip': with the new snapshot 1001 users would enter beside its 1000 members, "
            "over the limit of 100%",
            id="one more than may enter",
        ),
        pytest.param(
            DEFAULT,
            Counts(200, 200, 200),
            "audience 'vip': with the new snapshot 200 of 200 members (100%) would leave, over the limit of 30%",
            id="all were replaced",
        ),
        pytest.param(
            DEFAULT,
            Counts(150, 0, 100),
            "audience 'vip': with the new snapshot 100 of 150 members (67%) would leave, over the limit of 30%",
            id="just enough rows for a share",
        ),
        pytest.param(
            COUNT_OF_50,
            Counts(1_000_000, 0, 51),
            "audience 'vip': with the new snapshot 51 of 1000000 members (0%) would leave, over the limit of 50",
            id="one over the count, however large",
        ),
        pytest.param(
            NOBODY,
            Counts(10, 1, 0),
            "audience 'vip': with the new snapshot 1 users would enter beside its 10 members, over the limit of 0",
            id="nobody may enter",
        ),
        pytest.param(
            FROM_THE_FIRST,
            Counts(10, 0, 3),
            "audience 'vip': with the new snapshot 3 of 10 members (30%) would leave, over the limit of 20%",
            id="a small audience over its share",
        ),
    ],
)
def test_a_snapshot_is_held(guard: Guard, counts: Counts, reason: str) -> None:
    assert hold_reason("vip", counts, guard) == reason


@pytest.mark.parametrize(
    ("own", "counts", "held"),
    [
        pytest.param(GuardOverride(max_removed="50%"), Counts(1000, 0, 400), False, id="its own limit is wider"),
        pytest.param(GuardOverride(max_removed="50%"), Counts(1000, 300, 0), True, id="the other one is the config's"),
        pytest.param(GuardOverride(at_least=500), Counts(1000, 0, 400), False, id="its own number of rows"),
    ],
)
def test_an_audience_has_its_own_guard_over_the_configs(own: GuardOverride, counts: Counts, held: bool) -> None:
    assert (hold_reason("vip", counts, own.over(SHARE_OF_20)) is not None) is held
