"""`check` shows what an administrator has to run, and that is enough."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import sqlglot
from sqlalchemy import make_url
from sqlglot import exp

from audience_sync.sources.warehouse.dialects import DIALECTS

from .conftest import Twins, Warehouse

ROLE = "sync_without_rights"
GRANTS = {
    "bigquery": [
        "create schema if not exists `audience_sync`",
        'grant `roles/bigquery.dataEditor` on schema `audience_sync` to "user:ada@example.com"',
        "the same user needs the role roles/bigquery.jobUser",
    ],
    "clickhousedb": [
        "create database if not exists `audience_sync`",
        "grant select, insert, create table, drop table on `audience_sync`.* to `ada@example.com`",
    ],
    "databricks": [
        "create schema if not exists `audience_sync`",
        "grant use schema, create table on schema `audience_sync` to `ada@example.com`",
        "the same user needs use catalog on its catalog",
    ],
    "postgresql": [
        'create schema if not exists "audience_sync"',
        'grant usage, create on schema "audience_sync" to "ada@example.com"',
    ],
    "snowflake": [
        'create schema if not exists "AUDIENCE_SYNC"',
        'grant usage, create table on schema "AUDIENCE_SYNC" to role "ada@example.com"',
    ],
    "trino": [
        'create schema if not exists "audience_sync"',
        'grant create on schema "audience_sync" to user "ada@example.com"',
    ],
}


@pytest.mark.parametrize("name", DIALECTS)
def test_each_warehouse_has_statements_of_its_own(name: str) -> None:
    shown = DIALECTS[name].grants("audience_sync", "ada@example.com")

    assert [each.strip() for each in shown.split(";") if each.strip()] == GRANTS[name]


@pytest.mark.parametrize("name", ["bigquery", "databricks", "postgresql", "snowflake"])
def test_a_parser_of_its_language_understands_them(name: str) -> None:
    create, grant, *_ = (
        sqlglot.parse_one(each, read={"postgresql": "postgres"}.get(name, name)) for each in GRANTS[name][:2]
    )

    assert (type(create), type(grant)) == (exp.Create, exp.Grant)


@pytest.fixture
def without_rights(twins: Twins) -> Iterator[Warehouse]:
    """The warehouse of a user who may read the source's rows and nothing else."""
    owner = twins.warehouse
    owner.execute(
        "drop schema audience_sync", "create table vip (user_id text)", "insert into vip values ('ada')",
        f"create role {ROLE} login", f"grant select on vip to {ROLE}",
    )  # fmt: skip
    url = make_url(owner.url).set(username=ROLE).render_as_string(hide_password=False)
    source = {"database": url, "compare": "in_warehouse"}
    vip = {"name": "VIP", "source": "warehouse", "query": "select user_id from vip"}
    twins.there.configure(sources={"warehouse": source}, audiences=[vip])
    yield owner
    owner.execute(f"drop owned by {ROLE}", f"drop role {ROLE}")


def test_with_what_check_shows_the_next_run_succeeds(twins: Twins, without_rights: Warehouse) -> None:
    failed = json.loads(twins.there.run("check", "--json").stdout)
    [message] = [each["message"] for each in failed["checks"] if each["part"] == "source"]
    shown = re.search(r"An administrator has to run: (create schema .*; grant .*;)", message)
    assert shown, message

    without_rights.execute(*filter(None, map(str.strip, shown[1].split(";"))))

    assert twins.there.run("check").code == 0
    assert twins.there.run("sync").code == 0
    assert twins.there.query("select user_id from audience_members") == [("ada",)]
