"""Everything moves to another store, and the next run continues there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert, select, update

from audience_sync.errors import LeaseLostError, RunInProgressError, StoreError, StoreOutdatedError
from audience_sync.history.view_rows import read
from audience_sync.model import RunId
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import Lease, acquire
from audience_sync.store.maintenance import migrate
from audience_sync.store.maintenance.copy import copy_store
from audience_sync.store.runs.webhooks import add_webhooks
from audience_sync.store.snapshots import files
from audience_sync.store.tables import (
    VIEWS,
    absences,
    alert_log,
    audience_freezes,
    claimed_users,
    delivery_requests,
    held_out_users,
    held_snapshots,
    hold_samples,
    lease,
    metadata,
    properties,
    runs,
    snapshot_file_chunks,
    unaccepted_calls,
)
from audience_sync.workspace import Workspace

from .example_week import BIG, fill, morning
from .examples import add_run, base, members, save, the_audience

NewStore = Callable[..., Store]
#: What makes a database lose the member "ada", by whether it is SQLite.
LOSES_A_ROW = {
    True: ["create trigger lose before insert on members when new.user_id = 'ada' begin select raise(ignore); end"],
    False: [
        "create function lose() returns trigger language plpgsql as 'begin return null; end'",
        "create trigger lose before insert on members for each row when (new.user_id = 'ada') execute function lose()",
    ],
}
OTHER = {"sqlite": "postgresql", "postgresql": "sqlite"}


@pytest.fixture
def target(database: str, new_store: NewStore) -> Store:
    """An empty database of the other kind."""
    return new_store(OTHER[database])


def contents(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but the lease, which is each store's own."""
    with store.reading() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table is not lease
        }


def test_every_row_arrives_on_the_other_database(store: Store, target: Store) -> None:
    fill(store)
    copy_store(store, target)
    assert contents(target) == contents(store)


def test_every_view_is_the_same_on_the_other_database(store: Store, target: Store) -> None:
    fill(store)
    _add_decided(store)
    copy_store(store, target)
    shown, copied = ({view: _shown(each, view) for view in VIEWS} for each in (store, target))
    assert copied == shown
    assert [view for view, rows in shown.items() if not rows] == ["scheduled_runs"]


def _add_decided(store: Store) -> None:
    """Rows for the views that the week leaves empty."""
    with store.writing() as connection:
        hold = connection.execute(select(held_snapshots.c.id)).scalar_one()
        connection.execute(insert(hold_samples).values(hold_id=hold, user_id="ada", entered=False))
        connection.execute(insert(absences).values(property_id=BIG, user_id="ada", run_id=43))
        connection.execute(insert(held_out_users).values(property_id=BIG, user_id="zoe", run_id=43))
        connection.execute(insert(claimed_users).values(property_id=BIG, user_id="yan", run_id=43))
        connection.execute(
            update(properties).where(properties.c.id == BIG).values(min_stay="2d", holdout=0.1, holdout_salt="big")
        )
        connection.execute(
            insert(audience_freezes).values(property_id=BIG, frozen_at=morning(6), frozen_by="ann on shop")
        )
        alert = {"kind": "failed", "subject": "big_spenders", "message": "empty", "started_run": 41}
        connection.execute(insert(alert_log).values(**alert, started_at=morning(4), ended_run=42, ended_at=morning(5)))
        request = connection.execute(select(func.max(delivery_requests.c.id))).scalar_one()
        connection.execute(insert(unaccepted_calls).values(request_id=request, user_id="ben", reason="an error"))
        add_webhooks(connection, RunId(43), ["ops"])


def _shown(store: Store, view: str) -> list[tuple[object, ...]]:
    """The rows of a view in the types that both databases have: times in UTC, numbers with a fraction as such."""
    with store.reading() as connection:
        found = read(connection, f"select * from {{views}}{view}")
    times = ("_since", "_until")
    rows = [tuple(_utc(value) if name.endswith(times) else value for name, value in row.items()) for row in found]
    return sorted(rows, key=repr)


def _utc(value: object) -> object:
    if not isinstance(value, str | datetime):
        return value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def test_there_and_back_is_the_same(store: Store, target: Store, database: str, new_store: NewStore) -> None:
    fill(store)
    copy_store(store, target)
    back = new_store(database)
    copy_store(target, back)
    assert contents(back) == contents(store)


def test_the_rows_of_each_table_are_counted(store: Store, target: Store) -> None:
    fill(store)
    counts = copy_store(store, target)
    assert counts["runs"] == 5
    assert counts["members"] == 8
    assert counts["delivered_ranges"] == 0
    assert set(counts) == set(metadata.tables) - {"lease"}


def test_more_rows_than_fit_into_one_batch_arrive(store: Store, target: Store) -> None:
    row = {"command": "sync", "status": "succeeded", "started_at": morning(2), "holder": "", "version": "1"}
    with store.writing() as connection:
        connection.execute(insert(runs), [row] * 2_500)
    assert copy_store(store, target)["runs"] == 2_500


def test_snapshots_arrive_whole(
    store: Store, target: Store, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHUNK_BYTES", 100)
    fill(store)
    chain = the_audience(id=save(store, the_audience(), base(workspace, 39, ["ann", "ben"]), run=39))
    copy_store(store, target)
    assert members(target, workspace, chain) == [("ann", 39), ("ben", 39)]
    with target.reading() as connection:
        assert len(connection.execute(select(snapshot_file_chunks.c.number)).all()) > 2


def test_the_next_run_has_the_next_number(store: Store, target: Store) -> None:
    fill(store)
    copy_store(store, target)
    with target.writing() as connection:
        add_run(connection, 1)
        assert connection.execute(select(runs.c.id).order_by(runs.c.id.desc()).limit(1)).scalar_one() == 44


def test_the_next_audience_and_snapshot_file_have_the_next_numbers(
    store: Store, target: Store, workspace: Workspace
) -> None:
    fill(store)
    copy_store(store, target)
    with target.writing() as connection:
        assert files.save_files(connection, the_audience("vip"), [base(workspace, 43, ["ann"])], RunId(43)) == 4


def test_the_new_store_is_free_for_the_next_run(store: Store, target: Store) -> None:
    fill(store)
    copy_store(store, target)
    acquire(target).release()
    acquire(store).release()


def test_a_store_in_use_is_no_target(store: Store, database: str, new_store: NewStore) -> None:
    used = new_store(OTHER[database], with_schema=True)
    fill(store)
    with used.writing() as connection:
        add_run(connection, 1)
    before = contents(used)
    with pytest.raises(StoreError, match=r"is in use: .*runs \(1\).* Nothing was copied: name an empty one"):
        copy_store(store, used)
    assert contents(used) == before


def test_a_store_with_suppressed_users_is_no_target(store: Store, database: str, new_store: NewStore) -> None:
    used = new_store(OTHER[database], with_schema=True)
    fill(store)
    with used.writing() as connection:
        connection.exec_driver_sql("insert into suppressions values ('ann', 'command', '2026-01-01')")
    with pytest.raises(StoreError, match=r"is in use: suppressions \(1\)"):
        copy_store(store, used)
    with used.reading() as connection:
        assert connection.exec_driver_sql("select user_id from suppressions").scalar() == "ann"


def test_a_store_is_not_copied_onto_itself(store: Store, other_process: Store) -> None:
    with pytest.raises(StoreError, match="Nothing was copied"):
        copy_store(store, other_process)


def test_a_copy_that_fails_halfway_leaves_the_target_as_it_was(store: Store, target: Store) -> None:
    fill(store)
    migrate.upgrade(target)
    before = contents(target)
    with target.writing() as connection:
        connection.exec_driver_sql("create unique index one_member_each on members (property_id)")
    with pytest.raises(StoreError, match=r"one_member_each|members\.property_id"):
        copy_store(store, target)
    assert contents(target) == before


def test_a_copy_that_loses_rows_is_not_kept(store: Store, target: Store) -> None:
    fill(store)
    migrate.upgrade(target)
    with target.writing() as connection:
        for statement in LOSES_A_ROW[target.is_sqlite]:
            connection.exec_driver_sql(statement)
    with pytest.raises(StoreError, match=r"The copy of members has 7 rows instead of 8\. Nothing was kept\."):
        copy_store(store, target)


def test_nothing_is_copied_while_a_run_is_at_work(store: Store, target: Store, other_process: Store) -> None:
    with acquire(other_process), pytest.raises(RunInProgressError):
        copy_store(store, target)


def test_nothing_is_copied_into_a_store_at_which_a_run_is_at_work(store: Store, target: Store) -> None:
    fill(store)
    migrate.upgrade(target)
    before = contents(target)
    with acquire(target), pytest.raises(RunInProgressError):
        copy_store(store, target)
    assert contents(target) == before


def test_a_copy_that_was_silent_for_too_long_is_not_kept(
    store: Store, target: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that took over meanwhile may have written into what was still to be copied."""
    fill(store)
    migrate.upgrade(target)
    before = contents(target)

    def lost(self: Lease, connection: object) -> None:
        raise LeaseLostError("Another run has taken over")

    monkeypatch.setattr(Lease, "check", lost)
    with pytest.raises(LeaseLostError):
        copy_store(store, target)
    assert contents(target) == before


def test_a_store_without_a_schema_is_not_copied(empty_store: Store, target: Store) -> None:
    with pytest.raises(StoreOutdatedError):
        copy_store(empty_store, target)
