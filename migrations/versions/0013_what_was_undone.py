"""Which run was undone, so that what it had changed is held when a snapshot would change it again.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    repeats = "The run that was undone, and whose changes it would repeat"
    op.add_column("held_snapshots", sa.Column("undone_run_id", sa.Integer(), nullable=True, comment=repeats))


def downgrade() -> None:
    op.drop_column("held_snapshots", "undone_run_id")
