"""Compare in Databricks."""

from __future__ import annotations

from audience_sync.sources.warehouse.dialects.bigquery import escaped_literal
from audience_sync.sources.warehouse.dialects.spark import Spark
from audience_sync.sql import Expression


class Databricks(Spark):
    """The SQL of Databricks, which is Spark's, in a catalog of Unity Catalog."""

    def grants(self, schema: str, grantee: str) -> str:
        return f"{super().grants(schema, grantee)} the same user needs use catalog on its catalog"

    def literal(self, text: str) -> Expression:
        return escaped_literal(text)

    def text(self, column: str, type_name: str) -> str:
        """The driver does not report collations."""
        text = super().text(column, type_name)
        return f"collate({text}, 'UTF8_BINARY')" if type_name.lower().startswith("string") else text
