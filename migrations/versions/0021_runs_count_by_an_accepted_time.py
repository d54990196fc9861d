"""A run has the time that ages are measured by, and whether its clock was doubted.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    what = "Whether its clock was far from the newest run; no age is measured by it"
    op.add_column("runs", sa.Column("clock_doubted", sa.Boolean(), nullable=True, comment=what))
    what = "The time that ages are measured by (UTC); NULL = started_at"
    op.add_column("runs", sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True, comment=what))


def downgrade() -> None:
    op.drop_column("runs", "counted_at")
    op.drop_column("runs", "clock_doubted")
