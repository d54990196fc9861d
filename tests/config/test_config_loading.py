"""A correct config becomes settings, with every path, default and key in its place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from audience_sync.config.models import Settings
from audience_sync.config.sections.guard import Guard, Schedule, Threshold
from audience_sync.model import InitialSync

from .conftest import ConnectOptions, FileOptions, Load, SegmentOptions

PRODUCT = """
store: sqlite:///audience_sync.db            # or postgresql://user@host/database

sources:
  shop:
    files: examples/shop                     # a folder, relative to this file; s3://, gs://, az:// where installed
  warehouse:
    database: ${WAREHOUSE_URL}               # any SQLAlchemy URL

audiences:
  - name: Order Completed Last 30days        # key: order_completed_last_30days
    source: shop
    file: order_completed_last_30days.csv    # CSV, TSV, JSON lines, Parquet, Excel; globs
    user_id: customer_id                     # column; default user_id
  - name: Big Spenders
    source: shop
    query: select customer_id as user_id from 'orders.csv' group by 1 having sum(total) > 500
  - name: Churn Risk
    source: warehouse
    query: select user_id from predictions where churn > 0.8
    schedule: "0 6 * * *"
    guard: {max_removed: 20%}
    destinations: [connect]                  # default: all
  - names_from: audience                     # one audience per distinct value of this column, read in one pass;
    source: warehouse                        # a new value is a first creation, a vanished one is held by the guard
    query: select user_id, audience from audience_members

computed_traits:
  - source: shop
    file: customers.parquet
    user_id: customer_id
    traits: [email, name, timezone, device_token, device_type, {column: rev_180, name: Total Revenue 180 Days}]

destinations:
  connect:
    type: zendesk_connect
    private_key: ${CONNECT_PRIVATE_KEY}
    url: https://api.outbound.io             # default; point it anywhere
    rate_limit: 50/s                         # requests; also: concurrency, batch_size, timeout
    give_up_after: 5m                        # end the run's delivery after so long without progress
  segment:
    type: segment
    write_key: ${SEGMENT_WRITE_KEY}
  log:
    type: file
    path: identify_calls.jsonl

schedule: {cron: "*/15 * * * *", timezone: Europe/Berlin}
guard: {max_removed: 30%, max_added: 100%, at_least: 100}   # the defaults
members_table: true                                          # keep the plain table of current members (default)
memory_limit: 768MB                                          # for the whole process (default)
"""

SMALLEST = """
sources: {shop: {files: data}}
audiences: [{name: VIP, source: shop, file: vip.csv}]
"""


@pytest.fixture
def product(load_text: Load) -> Settings:
    """The settings of the product's example."""
    return load_text(
        PRODUCT,
        WAREHOUSE_URL="postgresql://reader:warehouse-pw@db/warehouse",
        CONNECT_PRIVATE_KEY="connect-key",
        SEGMENT_WRITE_KEY="segment-key",
    )


def test_the_products_example_has_its_audiences(product: Settings) -> None:
    assert [audience.name for audience in product.audiences] == [
        "Order Completed Last 30days",
        "Big Spenders",
        "Churn Risk",
        None,
    ]
    assert [audience.property_key for audience in product.audiences] == [
        "order_completed_last_30days",
        "big_spenders",
        "churn_risk",
        None,
    ]
    assert [audience.names_from for audience in product.audiences] == [None, None, None, "audience"]
    assert [audience.user_id for audience in product.audiences] == ["customer_id", *["user_id"] * 3]
    assert product.audiences[0].initial is InitialSync.ALL


def test_the_products_example_has_its_traits_by_key(product: Settings) -> None:
    columns = product.computed_traits[0].columns
    assert list(columns) == [
        "email",
        "name",
        "timezone",
        "device_token",
        "device_type",
        "total_revenue_180_days",
    ]
    assert columns["total_revenue_180_days"].column == "rev_180"
    assert columns["total_revenue_180_days"].type is None


def test_the_products_example_has_its_destinations(product: Settings) -> None:
    connect, segment, log = product.destinations.values()
    assert isinstance(connect, ConnectOptions)
    assert connect.private_key.get_secret_value() == "connect-key"
    assert connect.rate_limit == 50.0
    assert connect.give_up_after == timedelta(minutes=5)
    assert connect.timeout == timedelta(seconds=30)
    assert isinstance(segment, SegmentOptions)
    assert isinstance(log, FileOptions)
    assert log.path == "identify_calls.jsonl"


def test_an_audience_is_for_all_destinations_unless_it_names_some(product: Settings) -> None:
    assert product.destinations_of(product.audiences[0]) == ("connect", "segment", "log")
    assert product.destinations_of(product.audiences[2]) == ("connect",)


def test_an_audiences_guard_overrides_single_limits(product: Settings) -> None:
    assert product.guard_of(product.audiences[0]) == Guard()
    assert product.guard_of(product.audiences[2]) == Guard(max_removed=Threshold(share=0.2))


def test_an_audiences_schedule_keeps_the_configs_time_zone(product: Settings) -> None:
    assert product.schedule_of(product.audiences[0]) == Schedule(cron="*/15 * * * *", timezone="Europe/Berlin")
    assert product.schedule_of(product.audiences[2]) == Schedule(cron="0 6 * * *", timezone="Europe/Berlin")


def test_the_defaults_are_those_of_the_product(load_text: Load, tmp_path: Path) -> None:
    settings = load_text(SMALLEST)
    assert settings.store == f"sqlite:///{tmp_path}/audience_sync.db"
    assert settings.guard == Guard(max_removed=Threshold(share=0.3), max_added=Threshold(share=1.0), at_least=100)
    assert settings.schedule is None
    assert settings.schedule_of(settings.audiences[0]) is None
    assert settings.timezone == "UTC"
    assert settings.members_table is True
    assert settings.memory_limit == 768_000_000
    assert settings.destinations == {}
    assert settings.environment is None
    assert settings.secrets == ()


def test_an_empty_part_is_an_absent_part(load_text: Load) -> None:
    settings = load_text(SMALLEST + "schedule:\ncomputed_traits:\ndestinations:\n")
    assert settings.schedule is None
    assert settings.computed_traits == []
    assert settings.destinations == {}


def test_a_schedule_may_be_a_cron_expression_alone(load_text: Load) -> None:
    settings = load_text(SMALLEST + "schedule: '@hourly'\n")
    assert settings.schedule == Schedule(cron="0 * * * *")


def test_a_schedule_may_be_a_time_between_runs(load_text: Load) -> None:
    settings = load_text(SMALLEST + "schedule: {every: 15m}\n")
    assert settings.schedule == Schedule(every=timedelta(minutes=15))


def test_an_explicit_key_wins(load_text: Load) -> None:
    settings = load_text(
        "sources: {shop: {files: data}}\n"
        "audiences: [{name: 日本, key: japan__vip, source: shop, file: a.csv}]\n"
        "computed_traits: [{source: shop, file: b.csv, traits: [first_name, {column: a, key: lastName}]}]\n"
    )
    assert settings.audiences[0].property_key == "japan__vip"
    assert list(settings.computed_traits[0].columns) == ["firstName", "lastName"]


def test_names_are_text_even_where_yaml_reads_numbers_and_truth(load_text: Load) -> None:
    settings = load_text(
        "sources: {2024: {files: data}, on: {files: data}}\n"
        "audiences: [{name: 2024-01-01, source: '2024', file: a.csv}]\n"
    )
    assert list(settings.sources) == ["2024", "on"]
    assert settings.audiences[0].property_key == "2024_01_01"


@pytest.mark.parametrize(
    ("store", "url"),
    [
        ("sqlite:///state/a.db", "sqlite:///{folder}/state/a.db"),
        ("sqlite:////var/lib/a.db", "sqlite:////var/lib/a.db"),
        ("sqlite+pysqlite:///a.db?timeout=5", "sqlite+pysqlite:///{folder}/a.db?timeout=5"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgres://u:p%40w@h:5432/d?sslmode=require", "postgresql+psycopg://u:p%40w@h:5432/d?sslmode=require"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
    ],
)
def test_a_store_is_relative_to_the_config_and_speaks_psycopg_3(
    load_text: Load, tmp_path: Path, store: str, url: str
) -> None:
    assert load_text(f"store: {store}\n{SMALLEST}").store == url.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("files", "url"),
    [
        ("data", "{folder}/data"),
        ("../data", "{folder.parent}/data"),
        ("/srv/data", "/srv/data"),
        ("s3://bucket/data", "s3://bucket/data"),
    ],
)
def test_a_sources_files_are_relative_to_the_config(load_text: Load, tmp_path: Path, files: str, url: str) -> None:
    settings = load_text(SMALLEST.replace("files: data", f"files: {files}"))
    assert settings.sources["shop"].files == url.format(folder=tmp_path)


def test_a_sources_sqlite_file_is_relative_to_the_config(load_text: Load, tmp_path: Path) -> None:
    settings = load_text(
        "sources: {db: {database: 'sqlite:///shop.db'}}\naudiences: [{name: VIP, source: db, query: select 1}]\n"
    )
    assert settings.sources["db"].database == f"sqlite:///{tmp_path}/shop.db"


def test_settings_know_the_folder_of_the_config(load_text: Load, tmp_path: Path) -> None:
    assert load_text(SMALLEST).folder == tmp_path


def test_the_representation_of_settings_shows_no_secret(product: Settings) -> None:
    assert "warehouse-pw" not in repr(product)
    assert "connect-key" not in repr(product)
    assert "segment-key" not in repr(product)
