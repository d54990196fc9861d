"""Define the table of freezes."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from audience_sync.store.tables.base import metadata
from audience_sync.store.tables.types import UtcDateTime

freezes = Table(
    "audience_freezes",
    metadata,
    Column("id", Integer, primary_key=True, comment="The freeze"),
    Column("property_id", ForeignKey("properties.id"), nullable=False, index=True, comment="The audience"),
    Column("frozen_at", UtcDateTime, nullable=False, comment="When a person froze it (UTC)"),
    Column("frozen_until", UtcDateTime, comment="When it ends by itself (UTC); NULL = by `unfreeze` alone"),
    Column("frozen_by", Text, nullable=False, comment="Who: user and host"),
    Column("reason", Text, comment="Why, in their words"),
    Column("unfrozen_at", UtcDateTime, comment="When it was ended by a person, or by another freeze (UTC)"),
    Column("unfrozen_by", Text, comment="By whom"),
    comment="Audiences that are or were left as they are (append-only, but for their end)",
)
