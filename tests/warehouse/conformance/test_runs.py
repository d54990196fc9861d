"""Runs one after another find who entered and who left."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.warehouse import compare
from audience_sync.sources.warehouse.dialects.base import Kind
from audience_sync.sources.warehouse.engine import Engine
from audience_sync.workspace import Workspace

from .places import Place, Runs


def members_of(place: Place, workspace: Workspace, *users: str) -> Runs:
    members = place.write("members", [(user,) for user in users])
    return Runs(place, workspace, f"select user_id from {members}")


def test_first_everyone_then_only_changes(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada", "bob", "cyd")

    assert runs.sync() == ({"ada", "bob", "cyd"}, set(), {})
    assert runs.sync() == (set(), set(), {})
    members_of(place, workspace, "ada", "cyd", "dan")
    assert runs.sync() == ({"dan"}, {"bob"}, {})
    assert runs.sync() == (set(), set(), {})


def test_a_user_who_is_there_twice_counts_once(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada", "ada", "bob")
    assert runs.sync().entered == {"ada", "bob"}

    members_of(place, workspace, "ada", "cyd", "cyd", "cyd")
    assert runs.sync() == ({"cyd"}, {"bob"}, {})


def test_an_audience_is_empty_first_and_again(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace)
    assert runs.sync() == (set(), set(), {})
    members_of(place, workspace, "ada")
    assert runs.sync() == ({"ada"}, set(), {})
    members_of(place, workspace)
    assert runs.sync() == (set(), {"ada"}, {})
    assert runs.sync() == (set(), set(), {})


def test_what_a_guard_holds_is_found_again(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada", "bob")
    runs.sync()
    members_of(place, workspace, "cyd")

    assert runs.sync(accepts=False) == ({"cyd"}, {"ada", "bob"}, {})
    assert runs.sync() == ({"cyd"}, {"ada", "bob"}, {})


def test_a_preview_finds_the_changes_and_creates_no_table(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada", "bob")
    assert runs.preview().entered == {"ada", "bob"}
    assert place.tables() == []

    runs.sync()
    members_of(place, workspace, "ada", "cyd")
    assert runs.preview() == ({"cyd"}, {"bob"}, {})
    assert len(place.tables()) == 1


def test_many_tables_of_changes_are_folded_into_a_base(
    place: Place, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "MOST_DELTAS", 4)
    runs = members_of(place, workspace, "ada", "bob")
    runs.sync()
    users = ["ada"]
    for number in range(5):  # bob leaves and enters in turn
        users.append(f"user {number}")
        members_of(place, workspace, *users, *(["bob"] if number % 2 else []))
        runs.sync()
    assert len(runs.state) < 5
    assert len(place.tables()) == len(runs.state) + 5  # the next run drops them

    members_of(place, workspace, "ada", "user 0", "new")
    assert runs.sync() == ({"new"}, set(users) - {"ada", "user 0"}, {})
    assert len(place.tables()) == len(runs.state)


def test_random_changes_are_those_of_two_sets(place: Place, workspace: Workspace) -> None:
    chance = random.Random(7)
    before: set[str] = set()
    runs = members_of(place, workspace)
    runs.sync()
    for _ in range(12):
        now = {f"user {number}" for number in range(12) if chance.random() < chance.choice([0.1, 0.5, 0.9])}
        members_of(place, workspace, *now, *now)
        accepts = chance.random() < 0.8
        assert runs.sync(accepts=accepts) == (now - before, before - now, {})
        before = now if accepts else before


def test_200_audiences_of_one_query_need_one_table_a_run(place: Place, workspace: Workspace) -> None:
    names = [f"Audience {number}" for number in range(200)]
    everyone = {(name, user) for name in names for user in ("ada", "bob")}
    lists = place.write("lists", [(user, name) for name, user in everyone], audience=Kind.TEXT)
    runs = Runs(place, workspace, f"select user_id, audience from {lists}", name="audience")
    assert runs.sync() == (everyone, set(), {})

    now = everyone - {(names[0], "ada"), (names[1], "ada"), (names[1], "bob")} | {("New", "cyd"), (names[2], "dan")}
    place.write("lists", [(user, name) for name, user in now], audience=Kind.TEXT)

    assert runs.sync() == (now - everyone, everyone - now, {})
    assert len(place.tables()) == 2


@pytest.mark.parametrize("name", ["A", "it's", 'say "hi"', "back\\slash\\", "naïve 🦊", "%s"])
def test_audiences_that_a_guard_holds_are_left_out_of_the_table(name: str, place: Place, workspace: Workspace) -> None:
    lists = place.write("lists", [("ada", name), ("ada", "B")], audience=Kind.TEXT)
    runs = Runs(place, workspace, f"select user_id, audience from {lists}", name="audience")
    runs.sync()
    place.write("lists", [("bob", name), ("bob", "B")], audience=Kind.TEXT)
    runs.sync(left_out=[name])

    assert runs.sync() == ({(name, "bob")}, {(name, "ada")}, {})


def test_a_query_may_end_with_a_comment_and_a_semicolon(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada")
    runs.query = f"{runs.query} -- everyone\n;\n"

    assert runs.sync().entered == {"ada"}


def test_a_query_that_fails_is_an_error_of_its_own(place: Place, workspace: Workspace) -> None:
    with pytest.raises(SourceError, match="the query failed"):
        Runs(place, workspace, "select user_id from nowhere").sync()
    assert place.tables() == []


def test_a_column_that_is_missing_is_named(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada")
    runs.query = runs.query.replace("select user_id", "select user_id as customer_id")

    with pytest.raises(SourceError, match=r"there is no column 'user_id'. Columns: customer_id"):
        runs.sync()


def test_a_run_reads_the_query_once_and_counts_its_invalid_rows_with_it(place: Place, workspace: Workspace) -> None:
    runs = members_of(place, workspace, "ada", "", "")
    runs.sync()
    runs.query = f"select user_id from ({runs.query}) marked where 41 = 41"
    statements = list[str]()

    def noting(operation: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: str) -> Any:
            statements.append(arguments[-1])
            return operation(*arguments)

        return noted

    @contextmanager
    def connect(writes: bool) -> Iterator[Engine]:
        with place.connect(writes) as engine, pytest.MonkeyPatch.context() as patch:
            for name in ("create", "stream"):
                patch.setattr(engine, name, noting(getattr(engine, name)))
            yield engine

    runs.place = replace(place, connect=connect)
    assert runs.sync() == (set(), set(), {"empty user id": 2})
    assert sum("41 = 41" in statement for statement in statements) == 1
