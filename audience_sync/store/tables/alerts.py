"""Define the tables of alerts and of notifications that an address missed."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text

from audience_sync.store.tables.base import metadata
from audience_sync.store.tables.types import UtcDateTime

alerts = Table(
    "alert_log",
    metadata,
    Column("id", Integer, primary_key=True, comment="The alert"),
    Column("kind", Text, nullable=False, comment="failed, held, refused, size or late"),
    Column("subject", Text, nullable=False, comment="The audience, destination or schedule; run, computed traits"),
    Column("words", Text, nullable=False, comment="What was seen, and what to do"),
    Column("began_run", Integer, nullable=False, comment="The run that saw it first"),
    Column("began_at", UtcDateTime, nullable=False, comment="When that was (UTC)"),
    Column("told_at", UtcDateTime, comment="When people were told (UTC)"),
    Column("ended_run", Integer, comment="The run that no longer saw it"),
    Column("ended_at", UtcDateTime, comment="When that was (UTC); NULL = it goes on"),
    Column("end_told_at", UtcDateTime, comment="When people were told of that (UTC)"),
    Index("ix_alert_log_ended_at", "ended_at"),
    comment="What needed a look, and what people were told of it",
)

missed_alerts = Table(
    "missed_alerts",
    metadata,
    Column("alert_id", ForeignKey("alert_log.id"), primary_key=True, comment="The alert"),
    Column("is_over", Boolean, primary_key=True, comment="Whether it is its end that was missed"),
    Column("place", Integer, primary_key=True, comment="Whose: the place in notify.to, from 1"),
    comment="What one address has yet to be told, though others were",
)
