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

#: The new columns, with their tables and comments.
COLUMNS = (
    (
        "subscriptions",
        "sent_as",
        "How it is sent, if not under its key: JSON with the name, the hash, the id and the former names",
    ),
    ("subscription_history", "sent_as", "As in subscriptions"),
    ("refused_values", "former_names", "The names at the destination that end with it, as JSON; NULL = none"),
    ("withheld_values", "former_names", "As in refused_values"),
)


def upgrade() -> None:
    for table, column, comment in COLUMNS:
        op.add_column(table, sa.Column(column, sa.Text(), nullable=True, comment=comment))


def downgrade() -> None:
    for table, column, _ in COLUMNS:
        op.drop_column(table, column)
