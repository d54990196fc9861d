"""Write a comparison in the SQL of each kind of warehouse: one module for each."""

from __future__ import annotations

from collections.abc import Mapping

from audience_sync.sources.warehouse.dialects.base import Dialect
from audience_sync.sources.warehouse.dialects.postgresql import PostgreSQL

#: By SQLAlchemy's name of the database, which is the beginning of its URLs.
DIALECTS: Mapping[str, Dialect] = {"postgresql": PostgreSQL()}
