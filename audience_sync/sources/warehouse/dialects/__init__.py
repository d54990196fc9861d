"""Write a comparison in the SQL of each kind of warehouse: one module for each."""

from __future__ import annotations

from collections.abc import Mapping

from audience_sync.sources.warehouse.dialects.base import Dialect
from audience_sync.sources.warehouse.dialects.bigquery import BigQuery
from audience_sync.sources.warehouse.dialects.clickhouse import ClickHouse
from audience_sync.sources.warehouse.dialects.databricks import Databricks
from audience_sync.sources.warehouse.dialects.postgresql import PostgreSQL
from audience_sync.sources.warehouse.dialects.snowflake import Snowflake
from audience_sync.sources.warehouse.dialects.trino import Trino

#: By SQLAlchemy's name of the database, which is the beginning of its URLs.
DIALECTS: Mapping[str, Dialect] = {
    "bigquery": BigQuery(),
    "clickhousedb": ClickHouse(),
    "databricks": Databricks(),
    "postgresql": PostgreSQL(),
    "snowflake": Snowflake(),
    "trino": Trino(),
}
#: Those whose SQL was parsed, and run in another database after a translation, but never in the warehouse itself.
COMPILED = ("bigquery", "databricks", "trino")
#: Databases in which two users could become one, each with the reason.
REFUSED: Mapping[str, str] = {
    "redshift": "there, texts that differ only in spaces at the end are equal, so that two users could become one",
}
