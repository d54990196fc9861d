"""Suppressed users.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

USER_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "suppressions",
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("origin", sa.Text(), nullable=False, comment="command, or config: one of its `suppressed` lists"),
        sa.Column(
            "since", sa.DateTime(timezone=True), nullable=False, comment="When the user came onto the list (UTC)"
        ),
        sa.PrimaryKeyConstraint("user_id", "origin", name=op.f("pk_suppressions")),
        comment="Users who are never sent anything",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "erasures",
        sa.Column("user_hash", sa.Text(), nullable=False, comment="SHA-256 of installation.uuid and the user id"),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False, comment="When the user was erased (UTC)"),
        sa.PrimaryKeyConstraint("user_hash", name=op.f("pk_erasures")),
        comment="Erased users: of them only this is kept, so that they don't come back",
    )
    op.create_table(
        "withheld_values",
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="Who was not told"),
        sa.Column("user_id", USER_ID, nullable=False, comment="The suppressed user"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience or computed trait"),
        sa.Column("value", sa.Text(), nullable=True, comment="JSON; NULL = gone"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that made the change"),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["destinations.id"], name=op.f("fk_withheld_values_destination_id")
        ),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_withheld_values_property_id")),
        sa.PrimaryKeyConstraint("destination_id", "user_id", "property_id", name=op.f("pk_withheld_values")),
        comment="What suppressed users would have been sent, owed when they no longer are",
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("withheld_values")
    op.drop_table("erasures")
    op.drop_table("suppressions")
