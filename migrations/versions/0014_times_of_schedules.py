"""For which times of which schedules there was a run.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SCHEDULED_RUNS = """
    select s.schedule, s.due_at, s.run_id as run, r.started_at, r.status, s.missed, s.missed_since
    from schedule_slots s join runs r on r.id = s.run_id"""


def upgrade() -> None:
    op.create_table(
        "schedule_slots",
        sa.Column("schedule", sa.Text(), nullable=False, comment="The schedule, as the config says it"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="When it came round (UTC)"),
        sa.Column("run_id", sa.Integer(), nullable=True, comment="The run for it; NULL = the schedule is known since"),
        sa.Column(
            "missed",
            sa.Integer(),
            nullable=False,
            comment="How many times before it were missed, which the run makes up for",
        ),
        sa.Column("missed_since", sa.DateTime(timezone=True), nullable=True, comment="The first of them (UTC)"),
        sa.Column(
            "ended_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the run for it ended (UTC); NULL = it did not, another is due",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_schedule_slots_run_id")),
        sa.PrimaryKeyConstraint("schedule", "due_at", name=op.f("pk_schedule_slots")),
        comment="The times of schedules, and the runs for them",
    )
    op.create_index("ix_schedule_slots_run_id", "schedule_slots", ["run_id"])
    op.execute(f"create view scheduled_runs as {SCHEDULED_RUNS}")


def downgrade() -> None:
    op.execute("drop view scheduled_runs")
    op.drop_table("schedule_slots")
