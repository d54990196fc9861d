"""A run over a source that compares fetches its changes, and little more: 100 bytes a change, and 1 MB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Project
from sqlalchemy import make_url

import audience_sync
from audience_sync.sync import plan_run
from audience_sync.workspace import Workspace
from benchmarks.warehouse import CountingProxy, counting_proxy

from .conftest import Warehouse

BYTES_A_CHANGE = 100
#: What a run asks and is answered in any case: connections, the columns of the query, the list of tables, counts.
#: The promise is a million.
FIXED_BYTES = 20_000
USERS = 100_000
USER_ID = "md5(i::text)::uuid::text"
VIP = {"name": "VIP", "source": "warehouse", "query": "select user_id from vip"}
LISTS = {"names_from": "list", "source": "warehouse", "query": "select user_id, list from lists"}


@dataclass
class Wire:
    """A project whose warehouse is behind a proxy that counts the bytes of both directions."""

    project: Project
    warehouse: Warehouse
    proxy: CountingProxy

    def configure(self, *audiences: dict[str, Any]) -> None:
        url = make_url(self.warehouse.url).set(host="127.0.0.1", port=self.proxy.port, query={})
        source = {"database": url.render_as_string(hide_password=False), "compare": "in_warehouse"}
        self.project.configure(sources={"warehouse": source}, audiences=[*audiences])

    def sync(self, key: str, code: int = 0) -> tuple[dict[str, Any], int]:
        """The result of an audience, and the bytes of the run."""
        self.proxy.bytes = 0
        done = self.project.sync()
        assert done.code == code, done.stdout
        return done.audience(key), self.proxy.bytes


@pytest.fixture
def wire(tmp_path: Path, warehouse: Warehouse) -> Iterator[Wire]:
    [server] = Path(str(make_url(warehouse.url).query["host"])).glob(".s.PGSQL.*[0-9]")
    with counting_proxy(server) as proxy:
        yield Wire(Project(tmp_path), warehouse, proxy)


@pytest.fixture
def vip(wire: Wire) -> Wire:
    """Many members, after the first run."""
    wire.warehouse.execute(f"create table vip as select {USER_ID} as user_id from generate_series(1, {USERS}) i")
    wire.configure({**VIP, "initial": "none"})
    _, size = wire.sync("vip")
    assert size > USERS * 36
    return wire


def test_a_run_fetches_at_most_100_bytes_a_change(vip: Wire) -> None:
    for first, changes in ((1, 100), (101, 1_000)):  # 0.1% and 1%
        half = changes // 2
        leaving = f"select {USER_ID} from generate_series({first}, {first + half - 1}) i"
        entering = f"select {USER_ID} from generate_series({USERS + first}, {USERS + first + half - 1}) i"
        vip.warehouse.execute(f"delete from vip where user_id in ({leaving})", f"insert into vip {entering}")

        done, size = vip.sync("vip")

        assert (done["entered"], done["left"]) == (half, half)
        assert size <= changes * BYTES_A_CHANGE + FIXED_BYTES


def test_an_unchanged_run_fetches_nothing(vip: Wire) -> None:
    assert vip.sync("vip")[1] <= FIXED_BYTES


def test_a_snapshot_that_is_held_is_not_fetched_until_it_is_approved(vip: Wire) -> None:
    vip.warehouse.execute("delete from vip where user_id > '4'")
    left = vip.project.query("select count(*) from audience_members where user_id > '4'")[0][0]
    for _ in range(2):
        done, size = vip.sync("vip", code=4)
        assert f"removes {left:,} of 100,000 members" in str(done["error"])
        assert size <= 100_000
    [(waiting,)] = vip.project.query("select count(*) from holds where status = 'held'")
    assert waiting == 1

    vip.proxy.bytes = 0
    approved = vip.project.run("approve", "2", "--json")

    assert approved.audience("vip")["left"] == left
    assert vip.proxy.bytes > left * 36
    assert len(vip.project.messages()) == left


def test_an_emptied_snapshot_is_held_with_a_sample_of_its_users(vip: Wire) -> None:
    vip.warehouse.execute("truncate vip")

    done, size = vip.sync("vip", code=4)

    assert "the new snapshot is empty, and the last one had 100,000 members" in str(done["error"])
    assert size <= 100_000
    assert vip.project.query("select entered, count(*) from hold_samples group by 1") == [(0, 100)]


def test_invalid_rows_are_counted_and_few_are_fetched(wire: Wire) -> None:
    rows = f"select {USER_ID} as user_id, case when i <= 10 then 'A' end as list from generate_series(1, {USERS}) i"
    wire.warehouse.execute(f"create table lists as {rows}")
    wire.configure(LISTS)
    wire.sync("a")
    wire.warehouse.execute("insert into lists values ('new', 'A')")

    wire.proxy.bytes = 0
    done = wire.project.sync()

    assert done.audience("a")["entered"] == 1
    assert wire.proxy.bytes <= 1_000_000
    assert done.json["warnings"] == ["warehouse:list: 99,990 rows without an audience name were skipped."]


def test_changed_values_of_traits_cost_100_bytes_a_user(tmp_path: Path, warehouse: Warehouse) -> None:
    rows = (
        f"select {USER_ID} as user_id, 'plan ' || i % 7 as plan, i * 0.37 as revenue from generate_series(1, 20000) i"
    )
    warehouse.execute(f"create table people as {rows}")
    url = make_url(warehouse.url)
    [server] = Path(str(url.query["host"])).glob(".s.PGSQL.*[0-9]")
    project = Project(tmp_path)
    with counting_proxy(server) as proxy:
        address = url.set(host="127.0.0.1", port=proxy.port, query={}).render_as_string(hide_password=False)
        project.configure(
            sources={"warehouse": {"database": address, "compare": "in_warehouse"}},
            computed_traits=[{"source": "warehouse", "query": "select * from people", "traits": ["plan", "revenue"]}],
        )
        assert project.run("sync").code == 0
        changed = f"select {USER_ID} from generate_series(1, 400) i"
        warehouse.execute(f"update people set revenue = revenue + 1 where user_id in ({changed})")
        proxy.bytes = 0
        done = project.sync().json["traits"]

    assert done["changed"] == 400
    assert proxy.bytes <= 400 * BYTES_A_CHANGE + 2 * FIXED_BYTES


@pytest.mark.parametrize("also_files", [False, True], ids=["alone", "with files"])
def test_a_run_that_gets_only_changes_keeps_little_memory(
    tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, *, also_files: bool
) -> None:
    warehouse.execute("create table vip (user_id text)", "insert into vip values ('ada')")
    project = Project(tmp_path)
    project.write_members("buyers.csv", "ada")
    files = [{"name": "Buyers", "source": "shop", "file": "buyers.csv"}] if also_files else []
    source = {"database": warehouse.url, "compare": "in_warehouse"}
    project.configure(sources={"warehouse": source, "shop": {"files": "."}}, audiences=[VIP, *files])
    made = list[Workspace]()

    def make(*arguments: Any, **options: Any) -> Workspace:
        made.append(Workspace(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(plan_run, "Workspace", make)
    with audience_sync.Project.open(project.folder / "config.yaml") as opened:
        assert opened.sync().status == "succeeded"
    assert [each.threads for each in made] == [2 if also_files else 1]
