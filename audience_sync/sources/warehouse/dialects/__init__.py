"""Write a comparison in the SQL of each kind of warehouse: one module for each."""

from __future__ import annotations

from collections.abc import Mapping

from audience_sync.sources.warehouse.dialects.base import Dialect
from audience_sync.sources.warehouse.dialects.clickhouse import ClickHouse
from audience_sync.sources.warehouse.dialects.postgresql import PostgreSQL
from audience_sync.sources.warehouse.dialects.snowflake import Snowflake

#: By SQLAlchemy's name of the database, which is the beginning of its URLs.
DIALECTS: Mapping[str, Dialect] = {
    "clickhousedb": ClickHouse(),
    "postgresql": PostgreSQL(),
    "snowflake": Snowflake(),
}
#: Databases in which two users could become one, each with the reason.
REFUSED: Mapping[str, str] = {
    "redshift": "there, texts that differ only in spaces at the end are equal, so that two users could become one",
}
