"""The sample data is as described, and the same at each time it is made."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import available_timezones

import duckdb
import pytest
import yaml

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "examples" / "shop"


@pytest.fixture
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"file_search_path": str(SHOP)}) as connection:
        yield connection


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regenerated") / "shop"
    subprocess.run([sys.executable, "-B", str(ROOT / "examples" / "generate.py"), str(folder)], check=True)
    return folder


def predictions(folder: Path) -> list[tuple[str, float, str]]:
    with closing(sqlite3.connect(folder / "predictions.db")) as database:
        return database.execute("select * from predictions order by customer_id").fetchall()


def customers(folder: Path) -> duckdb.DuckDBPyRelation:
    return duckdb.read_parquet(str(folder / "customers.parquet"))


def query_of(audience: str) -> str:
    config = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
    queries: dict[str, str] = {each["name"]: each.get("query", "") for each in config["audiences"]}
    return queries[audience]


class TestTheScript:
    @pytest.mark.parametrize("name", ["orders.csv", "order_completed_last_30days.csv", "app_events.jsonl"])
    def test_writes_the_committed_text_to_the_byte(self, regenerated: Path, name: str) -> None:
        assert (regenerated / name).read_bytes() == (SHOP / name).read_bytes()

    def test_writes_the_committed_customers(self, regenerated: Path) -> None:
        assert customers(regenerated).columns == customers(SHOP).columns
        assert customers(regenerated).types == customers(SHOP).types
        assert customers(regenerated).fetchall() == customers(SHOP).fetchall()

    def test_writes_the_committed_predictions(self, regenerated: Path) -> None:
        assert predictions(regenerated) == predictions(SHOP)

    def test_writes_no_other_file(self, regenerated: Path) -> None:
        assert sorted(path.name for path in regenerated.iterdir()) == sorted(path.name for path in SHOP.iterdir())


class TestTheShop:
    def test_is_small_enough_to_be_shipped(self) -> None:
        assert sum(path.stat().st_size for path in SHOP.iterdir()) < 3_000_000

    def test_has_5000_customers_and_eight_months_of_orders(self, shop: duckdb.DuckDBPyConnection) -> None:
        assert shop.execute("select count(distinct customer_id) from 'customers.parquet'").fetchone() == (5000,)
        months = shop.execute(
            "select count(distinct date_trunc('month', ordered_at)), max(ordered_at)::date::text from 'orders.csv'"
        )
        assert months.fetchone() == (8, "2026-10-31")

    @pytest.mark.parametrize(("audience", "members"), [("Big Spenders", 575), ("Active in App", 552)])
    def test_has_audiences_of_a_plausible_size(
        self, shop: duckdb.DuckDBPyConnection, audience: str, members: int
    ) -> None:
        assert len(shop.execute(query_of(audience)).fetchall()) == members

    def test_has_1377_customers_with_a_recent_order(self, shop: duckdb.DuckDBPyConnection) -> None:
        recent = """
            select count(distinct customer_id) from 'order_completed_last_30days.csv'
            where trim(customer_id) <> ''
        """
        assert shop.execute(recent).fetchone() == (1377,)

    def test_has_a_prediction_for_everybody_and_few_at_risk(self) -> None:
        with closing(sqlite3.connect(SHOP / "predictions.db")) as database:
            assert len(database.execute(query_of("Churn Risk")).fetchall()) == 614
            assert database.execute("select count(*) from predictions").fetchone() == (5000,)

    def test_has_ids_that_look_like_numbers_in_every_file(self, shop: duckdb.DuckDBPyConnection) -> None:
        former = "select distinct customer_id from '{}' where customer_id not like 'C-%' order by 1"
        assert shop.execute(former.format("customers.parquet")).fetchall() == [
            ("0042",),
            ("007",),
            ("00815",),
            ("1e5",),
        ]
        assert shop.execute(former.format("orders.csv")).fetchall() == [("007",), ("00815",), ("1e5",)]

    def test_has_three_broken_rows_in_the_plain_file(self) -> None:
        lines = (SHOP / "order_completed_last_30days.csv").read_text("utf-8").splitlines()
        ids = [line.split(",")[0] for line in lines]
        assert [row for row, user_id in enumerate(ids) if not user_id.strip()] == [101, 501]
        assert ids[101] == ""
        assert ids[501] == "   "
        assert ids[900] == ids[901] == "C-03452"
        assert len(ids) - len(set(ids)) == 1

    def test_has_traits_of_every_type_and_traits_without_a_value(self, shop: duckdb.DuckDBPyConnection) -> None:
        columns = "loyalty_member, rev_180, signed_up, favourite_category, last_order_at"
        described = shop.execute(f"describe select {columns} from 'customers.parquet'").fetchall()
        assert [column[1] for column in described] == ["BOOLEAN", "DOUBLE", "DATE", "VARCHAR", "TIMESTAMP"]
        without = "select count(*) - count(rev_180), count(*) - count(email) from 'customers.parquet'"
        assert shop.execute(without).fetchone() == (2195, 66)

    def test_has_revenue_that_agrees_with_the_orders(self, shop: duckdb.DuckDBPyConnection) -> None:
        disagreeing = """
            select customer_id, rev_180, revenue
            from 'customers.parquet' full join (
                select customer_id, sum(total) as revenue from 'orders.csv'
                where ordered_at >= timestamp '2026-11-01' - interval 180 days group by 1
            ) using (customer_id)
            where round(rev_180 * 100) is distinct from round(revenue * 100)
        """
        assert shop.execute(disagreeing).fetchall() == []

    def test_has_only_time_zones_that_exist(self, shop: duckdb.DuckDBPyConnection) -> None:
        used = shop.execute("select distinct timezone from 'customers.parquet' where timezone is not null")
        zones = {zone for (zone,) in used.fetchall()}
        assert len(zones) == 24
        assert zones <= available_timezones()

    def test_has_nobodys_real_address(self, shop: duckdb.DuckDBPyConnection) -> None:
        hosts = "select distinct split_part(email, '@', 2) from 'customers.parquet' where email is not null order by 1"
        assert shop.execute(hosts).fetchall() == [("example.com",), ("example.org",)]

    def test_has_addresses_in_ascii_and_no_address_twice(self, shop: duckdb.DuckDBPyConnection) -> None:
        addresses = [email for (email,) in shop.execute("select email from 'customers.parquet'").fetchall() if email]
        assert len(set(addresses)) == len(addresses)
        assert [email for email in addresses if not re.fullmatch(r"[a-z.]+\.\d+@[a-z.]+", email)] == []
