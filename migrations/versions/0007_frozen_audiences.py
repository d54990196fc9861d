"""Audiences may be frozen: left as they are by every run.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

FREEZES = """
    select p.key as audience_key, f.frozen_at, f.frozen_until, f.frozen_by, f.reason, f.unfrozen_at, f.unfrozen_by
    from audience_freezes f join properties p on p.id = f.property_id"""
STATUSES = "created, synced, unchanged, held, failed or waiting"
WITH_FROZEN = "created, synced, unchanged, held, failed, waiting or frozen"


def upgrade() -> None:
    op.create_table(
        "audience_freezes",
        sa.Column("id", sa.Integer(), nullable=False, comment="The freeze"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience"),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False, comment="When a person froze it (UTC)"),
        sa.Column(
            "frozen_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it ends by itself (UTC); NULL = by `unfreeze` alone",
        ),
        sa.Column("frozen_by", sa.Text(), nullable=False, comment="Who: user and host"),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why, in their words"),
        sa.Column(
            "unfrozen_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was ended by a person, or by another freeze (UTC)",
        ),
        sa.Column("unfrozen_by", sa.Text(), nullable=True, comment="By whom"),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_audience_freezes_property_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audience_freezes")),
        comment="Audiences that are or were left as they are (append-only, but for their end)",
    )
    op.create_index("ix_audience_freezes_property_id", "audience_freezes", ["property_id"])
    op.execute(f"create view freezes as {FREEZES}")
    _say_statuses(WITH_FROZEN, "Why it failed, is held, waits or is frozen")


def downgrade() -> None:
    _say_statuses(STATUSES, "Why it failed, is held or waits")
    op.execute("drop view freezes")
    op.drop_table("audience_freezes")


def _say_statuses(comment: str, why: str) -> None:
    """SQLite keeps no comments."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("run_audiences", "status", comment=comment)
        op.alter_column("run_audiences", "error", comment=why)
