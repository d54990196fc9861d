"""Runs over computed traits find the rows of every user with a changed row."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import pytest

from audience_sync.sources.values.json_python import json_texts
from audience_sync.sources.warehouse import compare
from audience_sync.sources.warehouse.dialects.base import Kind
from audience_sync.workspace import Workspace

from .places import Place
from .trait_runs import KINDS, Row, TraitRuns

VALUES: Sequence[Sequence[Any]] = (
    ("pro", "free", "", "it's", "naïve 🦊", "1:a", None),
    (0, 7, -7, None),
    (0.5, 1e300, 7.0, None),
    (date(2026, 5, 1), date(1970, 1, 1), None),
)


def by_user(rows: Iterable[Row]) -> dict[str, set[Row]]:
    """The same of the rows that were written, with values as JSON."""
    users: dict[str, set[Row]] = {}
    for user, *values in rows:
        if user is not None:
            users.setdefault(user, set()).add(tuple(json_texts(values)))
    return users


def random_rows(chance: random.Random) -> list[Row]:
    users = [f"user {number}" for number in range(6) for _ in range(chance.choice([0, 1, 1, 1, 2]))]
    rows = [(user, *(chance.choice(each) for each in VALUES)) for user in users]
    return [*rows, *rows[:2], *[(None, "pro", 1, None, None)] * chance.randrange(3)]


@pytest.fixture
def runs(place: Place, workspace: Workspace) -> TraitRuns:
    return TraitRuns(place, workspace)


def test_all_rows_of_users_with_a_changed_row_are_read(runs: TraitRuns) -> None:
    ada, bob, cyd = ("ada", "pro", 1, 0.5, None), ("bob", "pro", 1, 0.5, None), ("cyd", None, None, None, None)
    other = ("bob", "free", 1, 0.5, None)
    runs.write([ada, bob, other, cyd])
    assert runs.found(runs.sync()) == by_user([ada, bob, other, cyd])
    assert runs.found(runs.sync()) == {}

    new = ("bob", "max", 1, 0.5, None)
    runs.write([ada, bob, new])
    assert runs.found(runs.read(None)) == runs.found(runs.sync()) == {**by_user([bob, new]), "cyd": set()}


def test_users_of_a_table_that_was_left_out_and_users_to_reread_are_read_again(runs: TraitRuns) -> None:
    ada, bob, cyd = (("ada", "pro", 1, None, None), ("bob", "pro", 1, None, None), ("cyd", "pro", 1, None, None))
    runs.write([ada, bob, cyd])
    runs.sync()
    runs.write([ada, cyd])
    runs.sync(left_out=["plan"])

    rows = runs.sync(left_out=["plan"], reread=["ada"])
    assert runs.found(rows) == {**by_user([ada]), "bob": set()}
    assert not rows.is_empty
    runs.write([])
    assert runs.sync().is_empty
    assert runs.found(runs.sync()) == {}


def test_a_value_that_goes_to_and_fro_is_found_each_time(runs: TraitRuns) -> None:
    for plan in ("pro", "free", "pro", "free", "pro"):
        ada, bob = ("ada", plan, 1, None, None), ("bob", "pro", 1, None, None)
        runs.write([ada, bob])
        found = runs.found(runs.sync())
        assert found == by_user([ada, bob] if len(runs.state) == 1 else [ada])


def test_values_that_look_alike_together_are_found(runs: TraitRuns) -> None:
    runs.traits = ("one", "two")
    for pairs in (
        [("x:", "y"), ("-", None), ("1:a", "1:b"), ("", "a")],
        [("x", ":y"), (None, "-"), ("1:a1:b", None), (None, "a")],
    ):
        rows = [(str(user), *values) for user, values in enumerate(pairs)]
        runs.query = f"select * from {runs.place.write('people', rows, one=Kind.TEXT, two=Kind.TEXT)}"
        assert runs.found(runs.sync()) == by_user(rows)


def test_an_empty_snapshot_is_folded_and_users_enter_again(runs: TraitRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "MOST_DELTAS", 1)
    for rows in ([], [("ada", "pro", 1, None, None)], [], []):
        runs.write(rows)
        runs.sync()
    assert runs.state == []

    for visits in (1, 2):
        rows = [("bob", "pro", visits, None, None)]
        runs.write(rows)
        assert runs.found(runs.sync()) == by_user(rows)


def test_a_column_of_another_type_is_read_anew(runs: TraitRuns) -> None:
    runs.write([("ada", "pro", 1, None, None)])
    runs.sync()
    place = runs.place.write("people", [("ada", "pro", "1", None, None)], **{**KINDS, "visits": Kind.TEXT})
    runs.query = f"select * from {place}"

    rows = runs.sync()

    assert rows.left is None
    assert runs.found(rows) == {"ada": {('"pro"', '"1"', None, None)}}


@pytest.mark.parametrize("seed", range(1))
def test_random_rows_are_found(seed: int, runs: TraitRuns) -> None:
    chance, accepted = random.Random(seed), dict[str, set[Row]]()
    for _ in range(16):
        rows = random_rows(chance)
        runs.write(rows)
        accepts, now = chance.random() < 0.8, by_user(rows)
        compared = runs.sync(accepts=accepts)
        found = runs.found(compared)
        assert found == {user: now.get(user, set()) for user in found}
        assert found.keys() >= {user for user in accepted | now if accepted.get(user) != now.get(user)}
        assert compared.row_count == len(rows)
        accepted = now if accepts else accepted
