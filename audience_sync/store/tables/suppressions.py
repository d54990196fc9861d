"""Define the tables of suppressed and erased users, and of the values withheld from destinations."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from audience_sync.store.tables.types import UserIdText, UtcDateTime, metadata

suppressions = Table(
    "suppressions",
    metadata,
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("origin", Text, primary_key=True, comment="command, or config: one of its `suppressed` lists"),
    Column("since", UtcDateTime, nullable=False, comment="When the user came onto the list (UTC)"),
    comment="Users who are never sent anything",
    sqlite_with_rowid=False,
)

past_suppressions = Table(
    "past_suppressions",
    metadata,
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("origin", Text, primary_key=True, comment="As in suppressions"),
    Column("since", UtcDateTime, primary_key=True, comment="When the user came onto the list (UTC)"),
    Column("until", UtcDateTime, nullable=False, comment="When the user was removed from it (UTC)"),
    comment="Users who were suppressed and no longer are (append-only)",
    sqlite_with_rowid=False,
)

erasures = Table(
    "erasures",
    metadata,
    Column("user_hash", Text, primary_key=True, comment="SHA-256 of installation.uuid and the user id"),
    Column("erased_at", UtcDateTime, nullable=False, comment="When the user was erased (UTC)"),
    comment="Hashes of erased users, so that they are never stored again",
)

withheld_values = Table(
    "withheld_values",
    metadata,
    Column("destination_id", ForeignKey("delivery_destinations.id"), primary_key=True, comment="The destination"),
    Column("user_id", UserIdText, primary_key=True, comment="The suppressed user"),
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience or computed trait"),
    Column("value", Text, comment="The value as JSON; NULL = removed"),
    Column("run_id", Integer, nullable=False, comment="The run that made the change"),
    Column("former_names", Text, comment="As in refused_values"),
    comment="Values that suppressed users would have been sent, pending until they no longer are",
    sqlite_with_rowid=False,
)
