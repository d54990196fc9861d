"""A warehouse that fails costs an audience one run: nothing is sent then, and the next run sends what a twin sends."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from .conftest import Twins, calls
from .unreliable import Fault, UnreliableProxy, unreliable_proxy

VIP = {"name": "VIP", "source": "warehouse", "query": "select user_id from vip"}
NUMBERS = count(1)
#: With an answer that takes a while, and is cut in the middle.
CUTS = {
    "before it creates a table": Fault(rb"create table", passes=False),
    "while it creates a table": Fault(rb"create table"),
    "before the table is kept": Fault(rb"(?i)^Q....COMMIT", passes=False),
    "between creating and counting": Fault(rb"count\(\*\) as row_count", times=2, passes=False),
    "before the changes are fetched": Fault(rb"row_count from \S+_delta_", passes=False),
    "in the middle of the changes": Fault(rb"FETCH FORWARD \d+ FROM", times=5, answered=100),
    "while an old table is dropped": Fault(rb"drop table"),
}


@pytest.fixture
def shop(twins: Twins) -> Twins:
    """Twins with 300 members, after their first run; then ten of them have left, and 30 others have entered."""
    twins.warehouse.execute(
        "create table vip as select 'user ' || i as user_id from generate_series(1, 300) i",
    )
    twins.configure(audiences=[VIP])
    twins.run("sync")
    twins.warehouse.execute(
        "delete from vip where user_id like 'user 1_'",
        "insert into vip select 'guest ' || i from generate_series(1, 30) i",
    )
    return twins


@pytest.fixture
def proxy(shop: Twins) -> Iterator[UnreliableProxy]:
    [server] = Path(str(make_url(shop.warehouse.url).query["host"])).glob(".s.PGSQL.*[0-9]")
    with unreliable_proxy(server) as running:
        yield running


def configure(shop: Twins, **source: Any) -> None:
    """Another source for the project that compares in the warehouse."""
    warehouse = {"database": shop.warehouse.url, "compare": "in_warehouse", **source}
    shop.there.configure(sources={"warehouse": warehouse}, audiences=[VIP])


def through(proxy: UnreliableProxy, shop: Twins) -> str:
    url = make_url(shop.warehouse.url).set(host="127.0.0.1", port=proxy.port, query={})
    return url.render_as_string(hide_password=False)


def require_failure(shop: Twins, what: str = "") -> None:
    """The audience fails, nothing is sent, and the store names the tables that it named before."""
    before, sent = shop.named_tables(), calls(shop.there)
    done = shop.there.run("sync", "--json")
    assert (done.code, done.audience("vip")["status"]) == (3, "failed"), done.stdout
    assert what in done.audience("vip")["error"]
    assert (shop.named_tables(), calls(shop.there)) == (before, sent)


def require_recovery(shop: Twins) -> None:
    """The next run sends the changes, and with the one after it no other table is left."""
    for _ in range(2):
        assert shop.there.run("sync").code == 0
    shop.here.run("sync")
    assert calls(shop.there) == calls(shop.here)
    assert shop.warehouse.tables() == shop.named_tables()


@pytest.mark.parametrize("when", CUTS)
def test_a_connection_may_be_cut(when: str, shop: Twins, proxy: UnreliableProxy) -> None:
    base = shop.warehouse.tables()[0]
    shop.warehouse.execute(f"create table audience_sync.{base.replace('_1_', '_0_')} as select 1 as nothing")
    configure(shop, database=through(proxy, shop))
    proxy.fault = CUTS[when]

    if when == "while an old table is dropped":
        shop.there.run("sync")
    else:
        require_failure(shop)

    assert proxy.met
    proxy.fault = None
    require_recovery(shop)


@pytest.mark.parametrize("at", [rb"create table", rb"row_count from \S+_delta_"], ids=["compares", "answers"])
def test_a_warehouse_may_be_slow(at: bytes, shop: Twins, proxy: UnreliableProxy) -> None:
    configure(shop, database=through(proxy, shop), timeout="1s")
    proxy.fault = Fault(at, stops=True)

    require_failure(shop, "took longer than 1s and was stopped")

    proxy.fault = None
    configure(shop)
    require_recovery(shop)


def test_a_warehouse_that_compares_for_too_long_is_stopped(shop: Twins) -> None:
    source = {"database": shop.warehouse.url, "compare": "in_warehouse", "timeout": "1s"}
    slow = {**VIP, "query": "select user_id from vip cross join pg_sleep(30)"}
    shop.there.configure(sources={"warehouse": source}, audiences=[slow])

    require_failure(shop, "took longer than 1s and was stopped")

    assert not shop.warehouse.is_running("create table")
    configure(shop)
    require_recovery(shop)


DISK_FULL = """
create function refuse() returns event_trigger language plpgsql as $$ begin
    raise exception 'could not extend file: No space left on device' using errcode = '53100';
end $$;
create event trigger refuse on ddl_command_start when tag in ('CREATE TABLE AS') execute function refuse()
"""
#: By what is wrong, what breaks the warehouse for the role, what mends it, and words of the message.
REFUSALS = {
    "no right to create": (
        "revoke create on schema audience_sync from {role}",
        "grant create on schema audience_sync to {role}",
        "permission denied for schema audience_sync",
    ),
    "no right to the schema": (
        "revoke usage on schema audience_sync from {role}",
        "grant usage on schema audience_sync to {role}",
        "permission denied for schema audience_sync",
    ),
    "no right to the rows": (
        "revoke select on vip from {role}",
        "grant select on vip to {role}",
        "permission denied for table vip",
    ),
    "read-only": (
        "alter role {role} set default_transaction_read_only = on",
        "alter role {role} reset all",
        "read-only transaction",
    ),
    "disk full": (DISK_FULL, "drop event trigger refuse", "No space left on device"),
    "out of credit": (
        "alter role {role} set statement_timeout = 1",
        "alter role {role} reset all",
        "statement timeout",
    ),
    "no connections": (
        "alter role {role} connection limit 0",
        "alter role {role} connection limit -1",
        "too many connections",
    ),
}


@contextmanager
def a_role(shop: Twins) -> Iterator[str]:
    """A user of the warehouse with no more rights than it needs, who has made the first run."""
    role = f"sync_{next(NUMBERS)}"
    shop.warehouse.execute(
        f"create role {role} login",
        f"grant usage, create on schema audience_sync to {role}",
        f"grant select on vip to {role}",
        f"do $$ declare t text; begin for t in select tablename from pg_tables where schemaname = 'audience_sync' "
        f"loop execute format('alter table audience_sync.%I owner to {role}', t); end loop; end $$",
    )
    try:
        yield role
    finally:
        shop.warehouse.execute(f"drop owned by {role}", f"drop role {role}")


@pytest.mark.parametrize("what", REFUSALS)
def test_a_warehouse_may_refuse(what: str, shop: Twins) -> None:
    broken, mended, message = REFUSALS[what]
    with a_role(shop) as role:
        url = make_url(shop.warehouse.url).set(username=role).render_as_string(hide_password=False)
        configure(shop, database=url)
        shop.warehouse.execute(broken.replace("{role}", role))

        require_failure(shop, message)

        shop.warehouse.execute(mended.replace("{role}", role))
        require_recovery(shop)


def test_a_schema_that_was_dropped_is_named_and_a_resync_makes_it_anew(shop: Twins) -> None:
    shop.warehouse.execute("drop schema audience_sync cascade")
    require_failure(shop, "is damaged: the table")

    shop.warehouse.execute("create schema audience_sync")
    require_failure(shop, "is missing")
    assert shop.there.run("resync", "vip").code == 0

    assert shop.there.run("sync").code == 0
    assert shop.warehouse.tables() == shop.named_tables()


def test_a_warehouse_that_was_restored_has_not_the_tables_of_later_runs(shop: Twins) -> None:
    [base] = shop.warehouse.tables()
    shop.warehouse.execute(f"create table backup as select * from audience_sync.{base}")
    shop.run("sync")
    for table in shop.warehouse.tables():
        shop.warehouse.execute(f"drop table audience_sync.{table}")
    shop.warehouse.execute(f"create table audience_sync.{base} as select * from backup")

    require_failure(shop, "is missing")

    assert shop.there.run("resync", "vip").code == 0


def test_a_store_that_was_restored_goes_on_beside_the_tables_of_runs_that_it_has_forgotten(shop: Twins) -> None:
    backup = shutil.copy(shop.there.store, shop.there.folder / "backup.db")
    shop.run("sync")
    sent = calls(shop.there)
    for file in shop.there.folder.glob("audience_sync.db*"):
        file.unlink()
    shutil.copy(backup, shop.there.store)

    assert shop.there.run("sync", "--json").audience("vip")["entered"] == 30
    shop.there.run("sync")

    assert len(calls(shop.there)) == len(sent) + 30 + 10
    assert shop.warehouse.tables() == shop.named_tables()
