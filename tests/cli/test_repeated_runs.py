"""A run on which nothing has any bearing that changed is recorded with the results of the run before."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import PostgreSQL
from destinations.receiver import Receiver

from audience_sync.store.connection.process_identity import current_process

from .conftest import Project, Result, segment

REPEATED = "nothing that a run depends on has changed"
VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
PLANS = {"source": "shop", "file": "plans.csv", "traits": ["plan"]}


def write_old(project: Project, name: str, *lines: str) -> None:
    """A file that was written long ago: one that is new may still be written."""
    os.utime(project.write(name, "\n".join([*lines, ""])), (1, 1))


@pytest.fixture
def shop(project: Project) -> Project:
    """A project with an audience, a trait and a list of audiences, before its first run."""
    project.configure(
        audiences=[VIP, {"names_from": "audience", "source": "shop", "file": "lists.csv"}], computed_traits=[PLANS]
    )
    write_old(project, "vip.csv", "user_id", "ada", "bob")
    write_old(project, "plans.csv", "user_id,plan", "ada,free", "bob,pro")
    write_old(project, "lists.csv", "user_id,audience", "ada,Big", "cyd,Small")
    return project


def sync(project: Project, *arguments: str) -> tuple[Result, bool]:
    """The result of a run, and whether it was repeated."""
    done = project.run("sync", "--json", "-v", *arguments)
    return done, REPEATED in done.stderr


def is_repeated(project: Project) -> bool:
    done, repeated = sync(project)
    assert done.code == 0, done.stderr
    return repeated


def store(project: Project, statement: str) -> None:
    with closing(sqlite3.connect(project.store)) as connection, connection:
        connection.execute(statement)


ROWS = (
    "select status, trait_users, trait_users_changed, error, clock_doubted, version, command from runs "
    "where id = {run}",
    "select audience_key, status, members_before, members_after, entered, left, invalid, error, absent, returned, "
    "held_out from run_audiences where run_id = {run} order by 1",
    "select destination_id, calls, delivered, refused, pending, retries, requests, error from run_destinations "
    "where run_id = {run}",
    "select destination_id, seeded_property_id, {run} - position, attempted_run from delivery_cursors",
)


def rows_of(project: Project, run: int) -> list[list[tuple[Any, ...]]]:
    return [project.query(each.format(run=run)) for each in ROWS]


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    destinations = [{**each, "seconds": 0} for each in document["destinations"]]
    return {**document, "run": 0, "seconds": 0, "destinations": destinations}


def test_a_repeated_run_has_the_answer_and_the_rows_of_a_run_that_reads(shop: Project) -> None:
    assert not is_repeated(shop)
    second, repeated = sync(shop)
    assert repeated
    store(shop, "update runs set inputs = null")
    third, repeated = sync(shop)
    assert not repeated

    assert second.json["run"] == 2
    assert without_times(second.json) == without_times(third.json)
    assert rows_of(shop, 2)[:3] == rows_of(shop, 3)[:3]
    assert rows_of(shop, 3)[3] == [(1, None, 0, None)]


def test_a_repeated_run_says_what_a_run_that_reads_says(shop: Project) -> None:
    shop.run("sync")
    repeated = shop.run("sync").stdout
    store(shop, "update runs set inputs = null")
    read = shop.run("sync").stdout

    assert repeated.splitlines()[0].startswith("Run 2 succeeded in ")
    assert repeated.splitlines()[0].endswith(" s: no changes, nothing to send.")
    assert repeated.splitlines()[1:] == read.splitlines()[1:]


def test_a_repeated_run_can_be_repeated_and_moves_the_positions(shop: Project) -> None:
    shop.run("sync")
    assert [is_repeated(shop), is_repeated(shop), is_repeated(shop)] == [True, True, True]
    assert rows_of(shop, 4)[3] == [(1, None, 0, None)]
    assert [row["run"] for row in shop.run("history", "--json").json["runs"]] == [4, 3, 2, 1]
    assert shop.query("select count(*) from runs where inputs is not null") == [(1,)]


def test_quiet_and_exit_code_of_a_repeated_run(shop: Project) -> None:
    shop.run("sync")
    assert shop.run("sync", "-q") == Result(0, "", "")


@pytest.mark.parametrize("limits", [(2, 1), (1, 2)], ids=["emptied", "filled"])
def test_a_run_after_one_that_changed_the_table_of_trait_values_is_repeated(
    limits: tuple[int, int], shop: Project
) -> None:
    for limit in limits:
        shop.configure(
            audiences=[VIP, {"names_from": "audience", "source": "shop", "file": "lists.csv"}],
            computed_traits=[PLANS],
            trait_values_table=limit,
        )
        done, _ = sync(shop)
    assert ["trait_values is" in each for each in json.loads(done.stdout)["warnings"]] == [True]

    done, repeated = sync(shop)

    assert repeated
    assert json.loads(done.stdout)["warnings"] == []


def new_member(shop: Project) -> None:
    write_old(shop, "vip.csv", "user_id", "ada", "bob", "dan")


def touched_config(shop: Project) -> None:
    os.utime(shop.folder / "config.yaml", (1, 1))


def another_variable(shop: Project) -> None:
    shop.environment["AUDIENCE_SYNC_LEASE_SECONDS"] = "30"


def no_file_of_calls(shop: Project) -> None:
    (shop.folder / "calls.jsonl").unlink()


def frozen(shop: Project) -> None:
    assert shop.run("freeze", "vip").code == 0


def frozen_and_unfrozen(shop: Project) -> None:
    frozen(shop)
    assert shop.run("unfreeze", "vip").code == 0


def suppressed(shop: Project) -> None:
    assert shop.run("suppress", "zoe").code == 0


def suppressed_and_unsuppressed(shop: Project) -> None:
    suppressed(shop)
    assert shop.run("unsuppress", "zoe").code == 0


def erased(shop: Project) -> None:
    assert shop.run("erase", "zoe").code == 0


def seeded_in_part(shop: Project) -> None:
    store(shop, "update delivery_cursors set attempted_run = 1")


def open_alert(shop: Project) -> None:
    columns = "kind, subject, message, started_run, started_at"
    store(shop, f"insert into alert_log ({columns}) values ('failed', 'run', 'no', 1, '2026-01-01 00:00:00')")


def killed_run(shop: Project) -> None:
    columns = "command, status, started_at, holder, version"
    store(shop, f"insert into runs ({columns}) values ('sync', 'running', '2026-01-01', 'process 1 on moon', '0.1.0')")


def other_version(shop: Project) -> None:
    store(shop, "update runs set inputs = json_set(inputs, '$.fingerprint', 'of another version or day')")


def clock_far_behind(shop: Project) -> None:
    store(shop, "update runs set started_at = '2100-01-01 00:00:00', counted_at = null")


@pytest.mark.parametrize(
    "change",
    [
        *(new_member, touched_config, another_variable, no_file_of_calls, open_alert, killed_run, other_version),
        *(frozen, frozen_and_unfrozen, suppressed, suppressed_and_unsuppressed, erased, seeded_in_part),
        clock_far_behind,
    ],
    ids=lambda change: change.__name__,
)
def test_what_changes_is_seen_by_a_run_that_reads(change: Callable[[Project], None], shop: Project) -> None:
    shop.run("sync")
    change(shop)
    assert not is_repeated(shop)


def test_a_change_after_a_repeated_run_is_sent(shop: Project) -> None:
    shop.run("sync")
    assert is_repeated(shop)
    shop.sent()
    new_member(shop)
    assert not is_repeated(shop)
    assert shop.sent() == [("dan", {"vip": True})]


def test_a_file_that_joins_a_glob_is_read(project: Project) -> None:
    project.configure(audiences=[{**VIP, "file": "vip-*.csv"}])
    write_old(project, "vip-1.csv", "user_id", "ada")
    project.run("sync")
    assert is_repeated(project)
    write_old(project, "vip-2.csv", "user_id", "bob")
    assert not is_repeated(project)
    assert project.sent() == [("ada", {"vip": True}), ("bob", {"vip": True})]


def test_a_variable_of_the_config_is_part_of_what_a_run_depends_on(shop: Project) -> None:
    shop.configure(audiences=[{**VIP, "file": "${WHICH}"}])
    write_old(shop, "other.csv", "user_id", "ada")
    shop.environment["WHICH"] = "vip.csv"
    shop.run("sync")
    assert is_repeated(shop)
    shop.environment["WHICH"] = "other.csv"
    done, repeated = sync(shop, "--accept", "vip")
    assert (done.audience("vip")["left"], repeated) == (1, False)


@pytest.mark.parametrize("command", ["sync", "history", "check"])
def test_a_config_from_a_pipe_is_read_once(command: str, shop: Project) -> None:
    config = (shop.folder / "config.yaml").read_text().replace("files: .", f"files: {shop.folder}")
    config = config.replace("path: calls.jsonl", f"path: {shop.folder}/calls.jsonl")
    done = subprocess.run(
        shop.command("--config", "/dev/stdin", command),
        input=f"store: sqlite:///{shop.store}\n{config}".encode(),
        cwd=shop.folder,
        env=shop.environment,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", ["sync", "history"])
def test_a_secret_from_a_pipe_is_read_once(command: str, shop: Project) -> None:
    shop.configure(store="${file:/dev/stdin}", audiences=[VIP])
    done = subprocess.run(
        shop.command(command),
        input=f"sqlite:///{shop.store}\n".encode(),
        cwd=shop.folder,
        env=shop.environment,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_removed_file_fails_as_before(shop: Project) -> None:
    shop.run("sync")
    (shop.folder / "vip.csv").unlink()
    done, repeated = sync(shop)
    assert (done.code, done.audience("vip")["status"], repeated) == (3, "failed", False)


def test_a_repeated_run_waits_for_no_other_run_and_says_who_runs(shop: Project) -> None:
    shop.run("sync")
    soon = time.time() + 30
    store(shop, f"update lease set holder = '{current_process()}', expires_at = {soon}, time_to_live = 60")
    done = shop.run("sync")
    assert done.code == 5
    assert "in progress" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("vip",), ("--accept", "vip"), ("--accept-clock",), ("--upgrade",)], ids=lambda each: each[0]
)
def test_a_run_with_a_request_of_its_own_reads(arguments: tuple[str, ...], shop: Project) -> None:
    shop.run("sync")
    assert not sync(shop, *arguments)[1]


def invalid_row(shop: Project) -> None:
    write_old(shop, "vip.csv", "user_id", "ada", '""')


def clock_in_a_query(shop: Project) -> None:
    query = "select user_id from 'vip.csv' where current_date > date '2020-01-01'"
    shop.configure(audiences=[{"name": "VIP", "source": "shop", "query": query}])


def maximum_age(shop: Project) -> None:
    shop.configure(audiences=[{**VIP, "expect": {"max_age": "40000d"}}])


def database(shop: Project) -> None:
    with closing(sqlite3.connect(shop.folder / "shop.db")) as made, made:
        made.execute("create table vip as select 'ada' as user_id")
    shop.configure(
        sources={"shop": {"database": "sqlite:///shop.db"}},
        audiences=[{"name": "VIP", "source": "shop", "query": "select user_id from vip"}],
    )


def metrics(shop: Project) -> None:
    shop.configure(audiences=[VIP], metrics={"file": "metrics.prom"})


def list_of_suppressed(shop: Project) -> None:
    write_old(shop, "never.csv", "user_id", "zoe")
    shop.configure(audiences=[VIP], suppressed=[{"source": "shop", "file": "never.csv"}])


def manual_audience(shop: Project) -> None:
    shop.configure(audiences=[VIP, {**VIP, "name": "Later", "initial": "manual"}])


@pytest.mark.parametrize(
    "project_with",
    [clock_in_a_query, maximum_age, database, metrics, list_of_suppressed, manual_audience],
    ids=lambda each: each.__name__,
)
def test_what_depends_on_more_than_files_always_reads(project_with: Callable[[Project], None], shop: Project) -> None:
    project_with(shop)
    assert [is_repeated(shop), is_repeated(shop), is_repeated(shop)] == [False, False, False]


def test_a_hook_that_learns_of_no_success_lets_a_run_be_repeated(shop: Project) -> None:
    hook = {"url": "http://127.0.0.1:9/hook", "secret": "a-secret", "name": "ops", "timeout": "0.1s"}
    shop.configure(audiences=[VIP], on_run={**hook, "statuses": ["failed"]})
    assert [is_repeated(shop), is_repeated(shop)] == [False, True]
    store(
        shop,
        "insert into run_webhook_log (run_id, hook, webhook_id, status, attempts) values (1, 'ops', 'm', 'waiting', 1)",
    )
    assert [is_repeated(shop), is_repeated(shop)] == [False, True], "what waits is posted first"
    shop.configure(audiences=[VIP], on_run=hook)
    assert [is_repeated(shop), is_repeated(shop)] == [False, False]
    assert shop.query("select run, attempts from run_webhooks") == [(5, 1), (6, 1)]


def test_invalid_rows_are_shown_once_and_counted_in_every_run(shop: Project) -> None:
    invalid_row(shop)
    found = [sync(shop) for _ in range(3)]
    assert [repeated for _, repeated in found] == [False, False, True]
    assert [done.audience("vip")["invalid"] for done, _ in found] == [1, 1, 1]


def test_a_held_audience_is_held_again(shop: Project) -> None:
    shop.run("sync")
    write_old(shop, "vip.csv", "user_id")
    assert [sync(shop)[0].code, sync(shop)[0].code] == [4, 4]


def test_missing_members_leave_when_their_stay_ends(shop: Project) -> None:
    shop.configure(audiences=[{**VIP, "min_stay": "2 runs"}], guard={"max_removed": "100%"})
    shop.run("sync")
    write_old(shop, "vip.csv", "user_id", "ada")
    found = [sync(shop) for _ in range(3)]
    assert [repeated for _, repeated in found] == [False, False, False]
    assert shop.sent()[-1] == ("bob", {"vip": False})


def test_a_file_that_may_still_be_written_is_read_again(shop: Project) -> None:
    shop.write_members("vip.csv", "ada", "bob")
    assert [is_repeated(shop), is_repeated(shop)] == [False, False]


def test_no_secret_is_in_what_is_kept(shop: Project, receiver: Receiver) -> None:
    shop.environment["KEY"] = "hunter2"
    shop.configure(audiences=[VIP], destinations={"segment": segment(receiver, write_key="${KEY}")})
    shop.run("sync")
    assert is_repeated(shop)
    assert "hunter2" not in json.dumps(shop.query("select * from runs"))
    shop.environment["KEY"] = "hunter3"
    assert not is_repeated(shop)


def test_the_inputs_of_another_config_are_not_those_of_this_one(shop: Project, tmp_path: Path) -> None:
    shop.run("sync")
    other = (shop.folder / "config.yaml").read_text().replace("lists.csv", "plans.csv").replace("audience", "plan", 0)
    (tmp_path / "other.yaml").write_text(other.replace("names_from: audience", "names_from: plan"))
    done, repeated = sync(shop, "--config", "other.yaml")
    assert not repeated
    assert {"free", "pro"} <= {each["key"] for each in done.json["audiences"]}


def test_a_run_is_repeated_on_postgresql(shop: Project, postgresql: PostgreSQL) -> None:
    shop.configure(store=postgresql.create(), audiences=[VIP], computed_traits=[PLANS])
    assert shop.run("sync", "--upgrade").code == 0
    assert [is_repeated(shop), is_repeated(shop), is_repeated(shop)] == [False, True, True]
    frozen_and_unfrozen(shop)
    assert not is_repeated(shop)
