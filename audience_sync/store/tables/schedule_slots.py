"""Define the table of schedule slots."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from audience_sync.store.tables.base import metadata
from audience_sync.store.tables.types import UtcDateTime

schedule_slots = Table(
    "schedule_slots",
    metadata,
    Column("schedule", Text, primary_key=True, comment="The schedule in the config"),
    Column("due_at", UtcDateTime, primary_key=True, comment="The scheduled time (UTC)"),
    Column("run_id", ForeignKey("runs.id"), index=True, comment="The run for it; NULL = first seen then"),
    Column("missed", Integer, nullable=False, comment="Earlier times without a run, which this run makes up for"),
    Column("missed_since", UtcDateTime, comment="The first of those times (UTC)"),
    Column("ended_at", UtcDateTime, comment="When its run ended (UTC); NULL = it did not end, and another is due"),
    comment="Scheduled times, and the runs for them",
)
