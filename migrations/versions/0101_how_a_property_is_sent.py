"""Keep how each property was sent: its name, hash and id at the destination.

Revision ID: 0101
Revises: 0100.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0101"
down_revision = "0100"
branch_labels = None
depends_on = None

COMMENTS = {
    "subscriptions": "How it is sent, if not under its key: JSON with the name, the hash, the id and the replaced name",
    "subscription_history": "As in subscriptions",
}


def upgrade() -> None:
    for table, comment in COMMENTS.items():
        op.add_column(table, sa.Column("sent_as", sa.Text(), nullable=True, comment=comment))


def downgrade() -> None:
    for table in COMMENTS:
        op.drop_column(table, "sent_as")
