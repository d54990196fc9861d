"""Define the table of decisions: the commands of people that changed something."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text

from audience_sync.store.tables.types import UtcDateTime, metadata

decision_log = Table(
    "decision_log",
    metadata,
    Column("id", Integer, primary_key=True, comment="The decision"),
    Column("decided_at", UtcDateTime, nullable=False, comment="When (UTC)"),
    Column("command", Text, nullable=False, comment="The command: approve, reject, undo, retire, freeze, erase, ..."),
    Column("subject", Text, comment="The keys, the run or the destination; of users only how many; NULL = everything"),
    Column("run_id", ForeignKey("runs.id"), comment="The run that carried it out; of reject, the run that was named"),
    Column("decided_by", Text, nullable=False, comment="The user"),
    Column("host", Text, nullable=False, comment="The host on which the command was given"),
    Column("reason", Text, comment="Why, in the person's words, without secrets and erased users"),
    Index("ix_decision_log_run_id", "run_id"),
    comment="Commands of people that changed something (append-only)",
)
