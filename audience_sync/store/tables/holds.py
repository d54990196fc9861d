"""Define the tables of holds, with their sample users, and of freezes."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Integer, Table, Text

from audience_sync.store.tables.types import UserIdText, UtcDateTime, metadata

held_snapshots = Table(
    "held_snapshots",
    metadata,
    Column("id", Integer, primary_key=True, comment="The hold"),
    Column(
        "kind", Text, nullable=False, comment="audience, computed_trait, mapping, or suppressed: the config's lists"
    ),
    Column("key", Text, nullable=False, comment="The audience or computed trait; of a mapping its destination"),
    Column("run_id", ForeignKey("runs.id"), nullable=False, comment="The run that held it first"),
    Column("last_run_id", ForeignKey("runs.id"), nullable=False, comment="The last run that got the same snapshot"),
    Column("status", Text, nullable=False, comment="held, approved, rejected or superseded"),
    Column("reason", Text, nullable=False, comment="Why it was held"),
    Column("together", Boolean, nullable=False, comment="Whether it is one of several that together change too much"),
    Column("members_before", Integer, nullable=False, comment="Members before, or users with a value"),
    Column("entered", Integer, nullable=False, comment="Users who would enter"),
    Column("left", Integer, nullable=False, comment="Users who would leave, or lose their value"),
    Column("held_at", UtcDateTime, nullable=False, comment="When it was held first (UTC)"),
    Column("decided_at", UtcDateTime, comment="When it was approved, rejected or superseded (UTC)"),
    Column("ended_run_id", ForeignKey("runs.id"), comment="The run that used it, or got another snapshot"),
    Column("undone_run_id", Integer, comment="The undone run whose changes it would repeat"),
    comment="Snapshots that a guard held",
)

hold_samples = Table(
    "hold_samples",
    metadata,
    Column("hold_id", ForeignKey("held_snapshots.id", ondelete="CASCADE"), primary_key=True, comment="The hold"),
    Column("user_id", UserIdText, primary_key=True, comment="A user that it would change"),
    Column("entered", Boolean, nullable=False, comment="true = would enter; false = would leave, or lose the value"),
    comment="Some of the users that a held snapshot would change",
    sqlite_with_rowid=False,
)

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
