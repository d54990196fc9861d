"""Audiences may be retired: what a run found of one says so.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATUSES = "created, synced, unchanged, held, failed, waiting or frozen"
WITH_RETIRED = "created, synced, unchanged, held, failed, waiting, frozen or retired"


def upgrade() -> None:
    _say_statuses(WITH_RETIRED)


def downgrade() -> None:
    _say_statuses(STATUSES)


def _say_statuses(comment: str) -> None:
    """SQLite keeps no comments."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("run_audiences", "status", comment=comment)
