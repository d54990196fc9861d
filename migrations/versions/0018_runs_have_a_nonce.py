"""A run has a random value of its own, which is part of the message ids of its changes.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    what = "Random, part of the message ids of its changes; NULL = of a version without"
    op.add_column("runs", sa.Column("nonce", sa.Text(), nullable=True, comment=what))


def downgrade() -> None:
    op.drop_column("runs", "nonce")
