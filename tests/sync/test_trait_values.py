"""The view `trait_values` has the values of the snapshots after any runs, with the run since which each is there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text, update

from audience_sync.config.models import ComputedTraitsConfig, Settings
from audience_sync.config.sections.snapshot import SourceConfig
from audience_sync.errors import StoreDamagedError
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sql import quote_identifier, quote_literal
from audience_sync.store.audiences import user_traits as values_module
from audience_sync.store.connection.engine import Store
from audience_sync.store.integrity.check_store import check_store
from audience_sync.store.tables import installation, snapshot_files, user_traits
from audience_sync.store.tables.views import view_prefix
from audience_sync.sync.diff import snapshot_files as files_module
from audience_sync.sync.run import sync
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import (
    GuardExceptions,
    ProgressListener,
    Resync,
    RunDependencies,
    RunRequest,
    Sync,
)
from audience_sync.workspace import Workspace

from .snapshot_rows import valid_rows

#: By entry of the config, its traits: those of an entry are stored together.
ENTRIES = {"profile": ("plan", "score"), "shop": ("revenue",)}
TRAITS = ("plan", "score", "revenue")
ACCEPT_ALL = GuardExceptions(accepted=TRAITS)
SYNC = Sync(exceptions=ACCEPT_ALL)

#: By user, the JSON of each trait that has a value.
Values = Mapping[str, Mapping[str, str]]

USERS = ("ada", "Bob", "é", "\U0001f600", 'it\'s "so"', "a,b\\N", " 007 ", "{}", "[1]", "x" * 600)
JSON_TEXTS = st.sampled_from(
    [
        *('"gold"', '"a \\"quoted\\" word"', '"back\\\\slash"', '"two\\nlines"', '"é \U0001f600"', '"\\u0000"', '""'),
        *("0", "-1", "12.50", "1e300", "123456789012345678901234567890", "0.1000000000000000055511151231257827"),
        *("true", "false", '{"b":1,"a":[1,2,{"c":null}]}', '["x","y"]', '"null"', '"2026-01-02T00:00:00.000Z"'),
    ]
)


@dataclass(frozen=True)
class Step:
    """One run: what the source has, and the option `trait_values_table`."""

    values: Values
    option: bool | int = True


STEPS = st.builds(
    Step,
    values=st.dictionaries(st.sampled_from(USERS), st.dictionaries(st.sampled_from(TRAITS), JSON_TEXTS)),
    option=st.sampled_from([True, True, True, False, 12]),
)


class Snapshots(Source):
    def __init__(self, values: Values) -> None:
        self._values = values

    def read(self, workspace: Workspace, wanted: SnapshotRequest) -> SnapshotRows:
        columns = ", ".join(f"null::varchar as {quote_identifier(name)}" for name in ("user_id", *wanted.traits))
        rows = [
            ", ".join([quote_literal(user), *(_literal(values.get(trait)) for trait in wanted.traits)])
            for user, values in self._values.items()
        ]
        select = " union all ".join([f"(select {columns} where false)", *(f"select {row}" for row in rows)])
        return valid_rows(select)

    def fingerprint(self, wanted: SnapshotRequest) -> str | None:
        return None

    def check(self) -> str:
        return "snapshots"


def _literal(value: str | None) -> str:
    return "null" if value is None else quote_literal(value)


def run(store: Store, values: Values, option: bool | int = True, request: RunRequest = SYNC) -> Report:
    entries = [
        ComputedTraitsConfig.model_validate({"source": "shop", "file": name, "traits": list(traits)})
        for name, traits in ENTRIES.items()
    ]
    config = Settings(
        folder=Path(),
        sources={"shop": SourceConfig(files=".")},
        computed_traits=entries,
        trait_values_table=option,
    )
    parts = RunDependencies(
        settings=config, store=store, sources={"shop": Snapshots(values)}, destinations=lambda about: {}
    )
    return sync(parts, request, ProgressListener())


def view(store: Store) -> dict[tuple[str, str], tuple[str, int]]:
    """By trait and user, the value and the run since which it is there."""
    query = (
        f"select trait_key, user_id, value, since_run from {'' if store.is_sqlite else 'audience_sync.'}trait_values"
    )
    with store.reading() as connection:
        rows = connection.execute(text(query)).all()
    found = {(row.trait_key, row.user_id): (row.value, row.since_run) for row in rows}
    assert len(found) == len(rows), "two values of one user and trait"
    return found


def after(before: Mapping[tuple[str, str], tuple[str, int]], values: Values, number: int) -> dict[Any, tuple[str, int]]:
    """The values after a run with this number, each with the run since which the user has it."""
    now = {(trait, user): value for user, mine in values.items() for trait, value in mine.items()}
    return {
        key: before[key] if key in before and before[key][0] == value else (value, number) for key, value in now.items()
    }


def is_whole(store: Store) -> bool:
    return all(each.good for each in check_store(store, memory_limit=768_000_000))


@contextmanager
def writes(store: Store) -> Iterator[list[str]]:
    """The statements of a block that write the table."""
    found = list[str]()

    def keep(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        if re.match(r"(insert|delete|update|copy)\b.*\buser_traits\b", statement, re.IGNORECASE | re.DOTALL):
            found.append(statement)

    event.listen(store.engine, "before_cursor_execute", keep)
    yield found
    event.remove(store.engine, "before_cursor_execute", keep)


@pytest.fixture
def often_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain gets a new base after three deltas."""
    monkeypatch.setattr(files_module, "MOST_DELTAS", 3)


@pytest.mark.usefixtures("often_compacted")
@pytest.mark.parametrize(("database", "examples"), [("sqlite", 6), ("postgresql", 2)], ids=["sqlite", "postgresql"])
def test_after_any_runs_the_view_equals_the_snapshots(
    new_store: Callable[..., Store], database: str, examples: int
) -> None:
    @given(steps=st.lists(STEPS, min_size=1, max_size=6))
    @example(steps=[Step({"ada": {"plan": '"a"'}}), Step({}), Step({"ada": {"plan": '"a"'}})])
    @example(steps=[Step({"ada": {"plan": f'"{n}"'}, "Bob": {"score": "1", "revenue": "2"}}) for n in range(6)])
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    def compare(steps: list[Step]) -> None:
        store = new_store(database, with_schema=True)
        stored: dict[Any, tuple[str, int]] = {}
        for step in steps:
            report = run(store, step.values, step.option)
            stored = after(stored, step.values, report.run)
            most = len(ENTRIES["profile"]) * len({u for u, v in step.values.items() if {"plan", "score"} & v.keys()})
            most += len({user for user, mine in step.values.items() if "revenue" in mine})
            is_kept = step.option if isinstance(step.option, bool) else most <= step.option
            assert view(store) == (stored if is_kept else {})
        assert is_whole(store)
        store.close()

    compare()


GOLD = {"ada": {"plan": '"gold"'}, "Bob": {"plan": '"free"', "score": "1"}}


class TestSize:
    def test_beyond_the_size_the_table_is_emptied_and_the_run_reports_it(self, store: Store) -> None:
        assert run(store, GOLD, 4).messages == []
        more = {**GOLD, "é": {"plan": '"gold"'}}

        report = run(store, more, 4)

        assert report.notices == (
            "The view trait_values is empty from this run on: 6 values (users times traits) are more than 4 "
            "(`trait_values_table`). Nothing else depends on it. To keep it at any size: trait_values_table: true",
        )
        assert view(store) == {}
        assert run(store, more, 4).messages == []
        assert is_whole(store)

    def test_within_the_size_again_it_is_filled_from_the_snapshots(self, store: Store) -> None:
        run(store, GOLD, 3)
        assert view(store) == {}

        report = run(store, {"ada": GOLD["ada"]}, 3)

        assert report.notices == (
            "The view trait_values is filled: 2 values (users times traits) are within 3 (`trait_values_table`).",
        )
        assert view(store) == {("plan", "ada"): ('"gold"', 1)}
        assert is_whole(store)

    def test_of_a_store_that_is_too_large_from_the_start_no_value_is_ever_written(self, store: Store) -> None:
        with writes(store) as written:
            run(store, GOLD, 1)
            run(store, {**GOLD, "é": {"plan": "1"}}, 1)
        assert written == ["DELETE FROM user_traits"]

    def test_the_option_alone_decides_without_a_word(self, store: Store) -> None:
        assert run(store, GOLD, False).messages == []
        assert view(store) == {}
        assert run(store, GOLD, True).messages == []
        assert view(store) == {
            ("plan", "Bob"): ('"free"', 1),
            ("plan", "ada"): ('"gold"', 1),
            ("score", "Bob"): ("1", 1),
        }
        assert run(store, GOLD, False).messages == []
        assert view(store) == {}

    def test_an_older_store_is_filled_by_its_next_run(self, store: Store) -> None:
        run(store, GOLD, False)
        with store.writing() as connection:
            connection.execute(update(installation).values(trait_values_table=None))
        assert run(store, GOLD, 1_000_000).messages == []
        assert len(view(store)) == 3


def test_a_run_without_changes_does_not_touch_the_table(store: Store) -> None:
    run(store, GOLD)
    statements = list[str]()

    def listen(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(store.engine, "before_cursor_execute", listen)
    run(store, GOLD)
    writes = [
        each for each in statements if "user_traits" in each and not each.lstrip("(").lower().startswith("select")
    ]
    assert writes == []


def test_a_resync_of_damaged_values_replaces_all_of_them(store: Store) -> None:
    run(store, {**GOLD, "é": {"plan": '"gone"'}})
    with store.writing() as connection:
        connection.execute(update(snapshot_files).values(checksum="0" * 32))
    with pytest.raises(StoreDamagedError):
        run(store, GOLD)

    report = run(store, GOLD, request=Resync(exceptions=ACCEPT_ALL))

    assert {key: value for key, (value, _) in view(store).items()} == {
        ("plan", "ada"): '"gold"',
        ("plan", "Bob"): '"free"',
        ("score", "Bob"): "1",
    }
    assert report.run == 3
    assert is_whole(store)


@pytest.mark.parametrize("count", [0, 30, 31, 100])
def test_users_of_any_number_with_values_of_any_length_arrive_whole(
    store: Store, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values_module, "SHORT_PART", 5)
    monkeypatch.setattr(values_module, "ROWS_PER_GROUP", 30)
    monkeypatch.setattr(values_module, "PART_BYTES", 10_000)
    values = {f"u{n:03}": {"plan": json.dumps("x" * (n % 7) * 300), "revenue": str(n)} for n in range(count)}
    run(store, values)
    assert view(store) == after({}, values, 1)
    run(store, {user: {"plan": '"y"'} for user in values})
    assert {value for value, _ in view(store).values()} == ({'"y"'} if count else set())


def test_the_time_of_a_value_is_that_of_its_run(store: Store) -> None:
    run(store, GOLD)
    run(store, {**GOLD, "ada": {"plan": '"free"'}})
    views = view_prefix(store.engine)
    query = f"select count(*) from {views}trait_values v join {views}sync_runs r on r.run = v.since_run"
    with store.reading() as connection:
        same = connection.execute(text(f"{query} where r.started_at = v.value_since")).scalar_one()
        assert connection.execute(select(user_traits.c.user_id)).scalars().all() == ["Bob", "ada"]
    assert same == 3


def test_the_changes_of_a_trait_are_listed_from_its_creation_on(store: Store) -> None:
    run(store, GOLD)
    run(store, {"ada": {"plan": '"free"'}, "Bob": {"plan": '"free"'}})
    query = (
        f"select run, trait_key, user_id, value, previous_value from {view_prefix(store.engine)}trait_changes "
        "order by run, trait_key, user_id"
    )
    with store.reading() as connection:
        found: Sequence[Any] = connection.execute(text(query)).all()
    assert [tuple(row) for row in found] == [
        (2, "plan", "ada", '"free"', '"gold"'),
        (2, "score", "Bob", None, "1"),
    ]
