"""Of each stored snapshot the last run that changed it.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    changed = "The last run that changed who is in it, or who is held out of it"
    op.add_column("chains", sa.Column("changed_run_id", sa.Integer(), nullable=True, comment=changed))
    op.execute("update chains set changed_run_id = (select max(run_id) from segments where chain_id = chains.id)")


def downgrade() -> None:
    op.drop_column("chains", "changed_run_id")
