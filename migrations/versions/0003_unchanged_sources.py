"""Sources that didn't change are not read again.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    mark = "What its source looked like when it was last taken; the same = not read again"
    op.add_column("properties", sa.Column("mark", sa.Text(), nullable=True, comment=mark))
    invalid = "Rows without a usable user id in it then"
    op.add_column("properties", sa.Column("invalid", sa.Integer(), nullable=True, comment=invalid))


def downgrade() -> None:
    op.drop_column("properties", "invalid")
    op.drop_column("properties", "mark")
