"""Members who are missing from a snapshot may stay for now.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

USER_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AUDIENCE_SYNCS = """
    select run_id as run, audience_key, status, members_before, members_after, entered, "left", invalid, error"""
ABSENT_MEMBERS = """
    select p.key as audience_key, a.user_id, r.started_at as missing_since, a.run_id as since_run, p.min_stay
    from absences a join properties p on p.id = a.property_id join runs r on r.id = a.run_id"""


def upgrade() -> None:
    op.create_table(
        "absences",
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience"),
        sa.Column("user_id", USER_ID, nullable=False, comment="A member whom its source doesn't have any more"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that missed them first"),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_absences_property_id")),
        sa.PrimaryKeyConstraint("property_id", "user_id", name=op.f("pk_absences")),
        comment="Members who stay for now although they are missing (min_stay)",
        sqlite_with_rowid=False,
    )
    stay = "How long a missing member stays, as the config says; NULL = not at all"
    op.add_column("properties", sa.Column("min_stay", sa.Text(), nullable=True, comment=stay))
    absent = "Members who are missing from the snapshot and stay for now (min_stay)"
    op.add_column("run_audiences", sa.Column("absent", sa.Integer(), nullable=True, comment=absent))
    returned = "Members who had been missing and came back in time"
    op.add_column("run_audiences", sa.Column("returned", sa.Integer(), nullable=True, comment=returned))
    op.execute("drop view audience_syncs")
    op.execute(f"create view audience_syncs as {AUDIENCE_SYNCS}, absent, returned from run_audiences")
    op.execute(f"create view absent_members as {ABSENT_MEMBERS}")


def downgrade() -> None:
    op.execute("drop view absent_members")
    op.execute("drop view audience_syncs")
    op.execute(f"create view audience_syncs as {AUDIENCE_SYNCS} from run_audiences")
    op.drop_column("run_audiences", "returned")
    op.drop_column("run_audiences", "absent")
    op.drop_column("properties", "min_stay")
    op.drop_table("absences")
