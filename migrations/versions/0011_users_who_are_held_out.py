"""Some users of an audience are never told of it.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

USER_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AUDIENCE_SYNCS = """
    select run_id as run, audience_key, status, members_before, members_after, entered, "left", invalid, error, absent,
        returned"""
HELD_OUT_MEMBERS = """
    select p.key as audience_key, h.user_id, r.started_at as held_out_since, h.run_id as since_run, p.holdout,
        p.holdout_salt
    from held_out h join properties p on p.id = h.property_id join runs r on r.id = h.run_id"""


def upgrade() -> None:
    op.create_table(
        "held_out",
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience"),
        sa.Column("user_id", USER_ID, nullable=False, comment="A user of its source who is never told true"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run since which the user is held out"),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_held_out_property_id")),
        sa.PrimaryKeyConstraint("property_id", "user_id", name=op.f("pk_held_out")),
        comment="Users who would be members, but for the holdout",
        sqlite_with_rowid=False,
    )
    share = "The share of its users (0 to 1) who are held out; NULL = nobody"
    op.add_column("properties", sa.Column("holdout", sa.Float(), nullable=True, comment=share))
    salt = "Decides, with the user id, who is: the key it had when it was first held out"
    op.add_column("properties", sa.Column("holdout_salt", sa.Text(), nullable=True, comment=salt))
    users = "Users of its source who are never told true (holdout)"
    op.add_column("run_audiences", sa.Column("held_out", sa.Integer(), nullable=True, comment=users))
    op.execute("drop view audience_syncs")
    op.execute(f"create view audience_syncs as {AUDIENCE_SYNCS}, held_out from run_audiences")
    op.execute(f"create view held_out_members as {HELD_OUT_MEMBERS}")


def downgrade() -> None:
    op.execute("drop view held_out_members")
    op.execute("drop view audience_syncs")
    op.execute(f"create view audience_syncs as {AUDIENCE_SYNCS} from run_audiences")
    op.drop_column("run_audiences", "held_out")
    op.drop_column("properties", "holdout_salt")
    op.drop_column("properties", "holdout")
    op.drop_table("held_out")
