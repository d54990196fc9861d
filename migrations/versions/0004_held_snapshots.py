"""Held snapshots wait for a person's decision.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

USER_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
HOLDS = """
    select h.run_id as run, h.last_run_id as last_run, h.kind, h.key, h.status, h.reason, h.members_before,
        h.entered, h."left", h.held_at, h.decided_at, h.ended_run_id as ended_run
    from held_snapshots h"""


def upgrade() -> None:
    op.create_table(
        "held_snapshots",
        sa.Column("id", sa.Integer(), nullable=False, comment="The hold"),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="audience, computed_trait, or suppressed: the config's lists"
        ),
        sa.Column("key", sa.Text(), nullable=False, comment="The audience or computed trait"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that held it first"),
        sa.Column("last_run_id", sa.Integer(), nullable=False, comment="The last run that met the same snapshot"),
        sa.Column("status", sa.Text(), nullable=False, comment="held, approved, rejected or superseded"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it was held"),
        sa.Column(
            "together",
            sa.Boolean(),
            nullable=False,
            comment="Whether it was held for what several would change together",
        ),
        sa.Column("members_before", sa.Integer(), nullable=False, comment="Members there were, or users with a value"),
        sa.Column("entered", sa.Integer(), nullable=False, comment="Users who would enter"),
        sa.Column("left", sa.Integer(), nullable=False, comment="Users who would leave, or lose their value"),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False, comment="When it was held first (UTC)"),
        sa.Column(
            "decided_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was approved, rejected or superseded (UTC)",
        ),
        sa.Column(
            "ended_run_id",
            sa.Integer(),
            nullable=True,
            comment="The run that let it through, or met another snapshot",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_held_snapshots_run_id")),
        sa.ForeignKeyConstraint(["last_run_id"], ["runs.id"], name=op.f("fk_held_snapshots_last_run_id")),
        sa.ForeignKeyConstraint(["ended_run_id"], ["runs.id"], name=op.f("fk_held_snapshots_ended_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held_snapshots")),
        comment="Snapshots that would change too much",
    )
    op.create_table(
        "hold_samples",
        sa.Column("hold_id", sa.Integer(), nullable=False, comment="The hold"),
        sa.Column("user_id", USER_ID, nullable=False, comment="A user whom it would change"),
        sa.Column(
            "entered",
            sa.Boolean(),
            nullable=False,
            comment="true = would enter; false = would leave, or lose the value",
        ),
        sa.ForeignKeyConstraint(
            ["hold_id"], ["held_snapshots.id"], name=op.f("fk_hold_samples_hold_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hold_id", "user_id", name=op.f("pk_hold_samples")),
        comment="Some of the users whom a held snapshot would change",
        sqlite_with_rowid=False,
    )
    op.execute(f"create view holds as {HOLDS}")


def downgrade() -> None:
    op.execute("drop view holds")
    op.drop_table("hold_samples")
    op.drop_table("held_snapshots")
