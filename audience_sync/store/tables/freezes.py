"""Define the table of freezes."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from audience_sync.store.tables.base import metadata
from audience_sync.store.tables.types import UtcDateTime

audience_freezes = Table(
    "audience_freezes",
    metadata,
    Column("id", Integer, primary_key=True, comment="The freeze"),
    Column("property_id", ForeignKey("properties.id"), nullable=False, index=True, comment="The audience"),
    Column("frozen_at", UtcDateTime, nullable=False, comment="When a person froze it (UTC)"),
    Column("frozen_until", UtcDateTime, comment="When it ends by itself (UTC); NULL = only by `unfreeze`"),
    Column("frozen_by", Text, nullable=False, comment="The person: user and host"),
    Column("reason", Text, comment="Why, in the person's words"),
    Column("unfrozen_at", UtcDateTime, comment="When a person or another freeze ended it (UTC)"),
    Column("unfrozen_by", Text, comment="The person who ended it"),
    comment="Freezes: runs skip the audience (append-only, except for the end)",
)
