"""The database may go away in the middle of any transaction of a run. Each is cut in turn, before its end and after."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from audience_sync.errors import StoreUnavailableError
from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import view_prefix

from .test_convergence import RETRY, SEED, Receiver, Step, members, run

BEFORE = Step(members("abcd", "ab"), {"a": "Oslo", "b": "Rom"}, vip_is_seeded=True)
AFTER = replace(BEFORE, members=members("bcde", "bc"), cities={"a": "Rom"})
#: What leads to a run, and the run.
RUNS = {
    "a first run": ([], replace(BEFORE, vip_is_seeded=False)),
    "a second run": ([replace(BEFORE, request=SEED)], AFTER),
    "a run with refused calls": ([], replace(BEFORE, faults=("refuse",) * 3)),
    "a seed by hand": ([BEFORE], replace(AFTER, request=SEED)),
    "a retry": ([replace(BEFORE, faults=("refuse",) * 3)], replace(BEFORE, request=RETRY)),
}


class Cut(Store):
    """A store whose ``nth`` writing transaction is broken off, once: its work lost, or only the word of its end."""

    def __init__(self, url: str, nth: int, *, is_kept: bool) -> None:
        super().__init__(url)
        self._left, self._is_kept = nth, is_kept

    @property
    def was_cut(self) -> bool:
        return self._left <= 0

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        self._left -= 1
        mine = self._left == 0
        with super().writing() as connection:
            yield connection
            if mine and not self._is_kept:
                raise StoreUnavailableError("the connection was lost")
        if mine:
            raise StoreUnavailableError("the connection was lost")


@pytest.fixture
def fresh(sqlite_schema: Path, tmp_path: Path) -> Callable[[], str]:
    def url() -> str:
        shutil.copy(sqlite_schema, tmp_path / "store.db")
        return f"sqlite:///{tmp_path / 'store.db'}"

    return url


@pytest.mark.parametrize("is_kept", [False, True], ids=["lost", "kept"])
@pytest.mark.parametrize(("earlier", "step"), RUNS.values(), ids=RUNS.keys())
def test_the_run_is_as_if_nothing_had_been(
    fresh: Callable[[], str], earlier: list[Step], step: Step, is_kept: bool
) -> None:
    whole = outcome(fresh(), earlier, step, nth=0, is_kept=is_kept)
    nth = 0
    while True:
        nth += 1
        url = fresh()
        found = outcome(url, earlier, step, nth=nth, is_kept=is_kept)
        if found is None:
            break
        assert found == whole, f"transaction {nth}"
    assert nth > 6


def outcome(url: str, earlier: list[Step], step: Step, *, nth: int, is_kept: bool) -> object:
    """What came of it, and what the store says of it; None where there was no such transaction."""
    receiver = Receiver()
    for each in earlier:
        run(Store(url), receiver, each)
    store = Cut(url, nth, is_kept=is_kept)
    report = run(store, receiver, step)
    store.close()
    if nth and not store.was_cut:
        return None
    said = report.exit_code, [(each.calls, each.delivered, each.refused, each.pending) for each in report.destinations]
    found = said, rows(url), receiver.calls, receiver.view
    run(Store(url), receiver, replace(step, faults=(), request=RETRY))
    return found, receiver.calls, receiver.view


def rows(url: str) -> list[tuple[object, ...]]:
    """What people see of its runs, but for times and random ids."""
    with Store(url).reading() as connection:
        return [
            tuple(row)
            for query in (
                "select run, command, status, error from {views}sync_runs order by run",
                'select run, audience_key, status, entered, "left" from {views}audience_syncs order by 1, 2',
                "select run, destination, calls, delivered, refused, pending from {views}deliveries order by run",
                "select count(*), sum(calls), sum(refused) from delivery_requests",
                "select count(*) from delivery_cursors",
                "select holder from lease",
            )
            for row in connection.exec_driver_sql(query.format(views=view_prefix(connection)))
        ]
