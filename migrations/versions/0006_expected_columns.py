"""The columns of a snapshot may be expected to stay the same.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    comment = "Its columns and their types then, where they are to stay the same (JSON)"
    op.add_column("properties", sa.Column("source_columns", sa.Text(), nullable=True, comment=comment))


def downgrade() -> None:
    op.drop_column("properties", "source_columns")
