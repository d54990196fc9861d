"""What needs a look, and who was told.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ALERTS = "select kind, subject, words, began_run, began_at, told_at, ended_run, ended_at from alert_log"
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alert_log",
        sa.Column("id", sa.Integer(), nullable=False, comment="The alert"),
        sa.Column("kind", sa.Text(), nullable=False, comment="failed, held, refused, size or late"),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="The audience, destination or schedule; run, computed traits",
        ),
        sa.Column("words", sa.Text(), nullable=False, comment="What was seen, and what to do"),
        sa.Column("began_run", sa.Integer(), nullable=False, comment="The run that saw it first"),
        sa.Column("began_at", MOMENT, nullable=False, comment="When that was (UTC)"),
        sa.Column("told_at", MOMENT, nullable=True, comment="When people were told (UTC)"),
        sa.Column("ended_run", sa.Integer(), nullable=True, comment="The run that no longer saw it"),
        sa.Column("ended_at", MOMENT, nullable=True, comment="When that was (UTC); NULL = it goes on"),
        sa.Column("end_told_at", MOMENT, nullable=True, comment="When people were told of that (UTC)"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_log")),
        comment="What needed a look, and what people were told of it",
    )
    op.create_index("ix_alert_log_ended_at", "alert_log", ["ended_at"])
    op.execute(f"create view alerts as {ALERTS}")


def downgrade() -> None:
    op.execute("drop view alerts")
    op.drop_table("alert_log")
