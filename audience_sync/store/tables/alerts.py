"""Define the tables of alerts and of notifications that an address missed."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text

from audience_sync.store.tables.types import UtcDateTime, metadata

alert_log = Table(
    "alert_log",
    metadata,
    Column("id", Integer, primary_key=True, comment="The alert"),
    Column("kind", Text, nullable=False, comment="failed, held, refused, size or late"),
    Column("subject", Text, nullable=False, comment="The audience, destination or schedule; run, computed traits"),
    Column("message", Text, nullable=False, comment="The problem, and what to do"),
    Column("started_run", Integer, nullable=False, comment="The run that found the problem first"),
    Column("started_at", UtcDateTime, nullable=False, comment="When that run found it (UTC)"),
    Column("notified_at", UtcDateTime, comment="When its first notification was sent (UTC)"),
    Column("ended_run", Integer, comment="The run that no longer found the problem"),
    Column("ended_at", UtcDateTime, comment="When that run did not find it (UTC); NULL = the alert is open"),
    Column("end_notified_at", UtcDateTime, comment="When the notification of its end was sent (UTC)"),
    Index("ix_alert_log_ended_at", "ended_at"),
    comment="Problems that need attention, and when people were notified",
)

missed_notifications = Table(
    "missed_notifications",
    metadata,
    Column("alert_id", ForeignKey("alert_log.id"), primary_key=True, comment="The alert"),
    Column("is_end", Boolean, primary_key=True, comment="Whether the notification is of the alert's end"),
    Column("recipient_number", Integer, primary_key=True, comment="The address: its number in notify.to, from 1"),
    comment="Notifications that one address has not received yet, although others have",
)
