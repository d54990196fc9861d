"""Who was not told of what others were.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "missed_alerts",
        sa.Column("alert_id", sa.Integer(), nullable=False, comment="The alert"),
        sa.Column("is_over", sa.Boolean(), nullable=False, comment="Whether it is its end that was missed"),
        sa.Column("place", sa.Integer(), nullable=False, comment="Whose: the place in notify.to, from 1"),
        sa.ForeignKeyConstraint(["alert_id"], ["alert_log.id"], name=op.f("fk_missed_alerts_alert_id")),
        sa.PrimaryKeyConstraint("alert_id", "is_over", "place", name=op.f("pk_missed_alerts")),
        comment="What one address has yet to be told, though others were",
    )


def downgrade() -> None:
    op.drop_table("missed_alerts")
