"""How much of the history is no longer kept.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

USER_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pruned_history",
        sa.Column("history", sa.Text(), nullable=False, comment="changes, requests, rejected_rows or runs"),
        sa.Column(
            "through_run",
            sa.Integer(),
            nullable=False,
            comment="Of this run and those before, not all is kept any more",
        ),
        sa.Column("next_run", sa.Integer(), nullable=False, comment="Deleting goes on with this run ..."),
        sa.Column("after_user", USER_ID, nullable=False, comment="... and the users greater than this one"),
        sa.PrimaryKeyConstraint("history", name=op.f("pk_pruned_history")),
        comment="How much of the history is no longer kept (retention)",
    )


def downgrade() -> None:
    op.drop_table("pruned_history")
