"""The source of a new config is that of dbt's adapter."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from audience_sync.dbt.config_text import warehouse_of, write_config
from audience_sync.dbt.manifest import Manifest, read_manifest
from dbt_project.results import DBT


def built_by(adapter: str | None) -> Manifest:
    found = read_manifest(DBT / "manifests" / "v12.json")
    return replace(found, metadata=replace(found.metadata, adapter_type=adapter))


@pytest.mark.parametrize(
    ("adapter", "option", "url", "extra"),
    [
        ("postgres", "database", "postgresql+psycopg://USER:PASSWORD@HOST:5432/shop", "postgresql"),
        ("snowflake", "database", "snowflake://USER:PASSWORD@ACCOUNT/shop/analytics?warehouse=WAREHOUSE", "snowflake"),
        ("bigquery", "database", "bigquery://shop", "bigquery"),
        ("redshift", "database", "redshift://USER:PASSWORD@HOST:5439/shop", "redshift"),
        ("duckdb", "database", "duckdb:///../shop.duckdb", None),
        ("spark", "spark", "sc://HOST:15002", "spark"),
        ("teradata", "database", "DIALECT://USER:PASSWORD@HOST/shop", None),
        (None, "database", "DIALECT://USER:PASSWORD@HOST/shop", None),
    ],
)
def test_the_address_and_the_driver_are_those_of_the_adapter(
    adapter: str | None, option: str, url: str, extra: str | None
) -> None:
    manifest, project, folder = built_by(adapter), Path("dbt"), Path("dbt", "sync")
    assert warehouse_of(manifest, project, folder) == (url, extra, option, False)
    text = write_config(manifest, project / "target", folder)
    assert yaml.safe_load(text)["sources"] == {"warehouse": {option: "${WAREHOUSE_URL}"}}
    assert f"#   export WAREHOUSE_URL='{url}'\n" in text
