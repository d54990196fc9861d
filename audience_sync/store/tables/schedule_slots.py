"""Define the table of schedule slots."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from audience_sync.store.tables.base import metadata
from audience_sync.store.tables.types import UtcDateTime

schedule_slots = Table(
    "schedule_slots",
    metadata,
    Column("schedule", Text, primary_key=True, comment="The schedule, as the config says it"),
    Column("due_at", UtcDateTime, primary_key=True, comment="When it came round (UTC)"),
    Column("run_id", ForeignKey("runs.id"), index=True, comment="The run for it; NULL = the schedule is known since"),
    Column(
        "missed", Integer, nullable=False, comment="How many times before it were missed, which the run makes up for"
    ),
    Column("missed_since", UtcDateTime, comment="The first of them (UTC)"),
    Column("ended_at", UtcDateTime, comment="When the run for it ended (UTC); NULL = it did not, another is due"),
    comment="The times of schedules, and the runs for them",
)
