"""A view of every refusal there was, and what became of it; the table of what is refused now has another name.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

USER_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
COLUMNS = "destination_id, user_id, run_id, reason, http_status, attempts, refused_at"
CONSTRAINTS = ("pk_{}", "fk_{}_destination_id", "fk_{}_run_id")
REFUSED_CALLS = """
    select f.run_id as run, d.name as destination, f.user_id, f.reason, f.http_status, f.attempts, f.refused_at
    from {} f join destinations d on d.id = f.destination_id"""
REFUSALS = """
    select q.run_id as run, d.name as destination, u.user_id, u.reason, u.http_status, q.answered_at as refused_at,
        case when u.accepted_run is not null then 'accepted'
            when exists (select 1 from open_refusals o where o.destination_id = q.destination_id
                and o.user_id = u.user_id) then 'refused'
            when exists (select 1 from withheld_values w where w.destination_id = q.destination_id
                and w.user_id = u.user_id) then 'withheld'
            else 'dropped' end as outcome, nullif(u.accepted_run, 0) as accepted_run
    from untaken_calls u join requests q on q.id = u.request_id join destinations d on d.id = q.destination_id
    where u.reason is not null"""


def rename(old: str, new: str) -> None:
    """With its rights on PostgreSQL; SQLite would rename it within views, too, as they are written."""
    if op.get_bind().dialect.name == "postgresql":
        op.rename_table(old, new)
        for each in CONSTRAINTS:
            op.execute(f"alter table {new} rename constraint {each.format(old)} to {each.format(new)}")
        return
    op.create_table(
        new,
        sa.Column("destination_id", sa.Integer(), nullable=False),
        sa.Column("user_id", USER_ID, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name=op.f(f"fk_{new}_destination_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f(f"fk_{new}_run_id")),
        sa.PrimaryKeyConstraint("destination_id", "user_id", name=op.f(f"pk_{new}")),
        sqlite_with_rowid=False,
    )
    op.execute(f"insert into {new} ({COLUMNS}) select {COLUMNS} from {old}")
    op.drop_table(old)


def upgrade() -> None:
    op.execute("drop view refused_calls")
    rename("refusals", "open_refusals")
    op.execute(f"create view refused_calls as {REFUSED_CALLS.format('open_refusals')}")
    by = "The run whose call the destination accepted in its place; 0 = of an earlier version, not known"
    op.add_column("untaken_calls", sa.Column("accepted_run", sa.Integer(), nullable=True, comment=by))
    op.execute(
        "update untaken_calls set accepted_run = 0 where reason is not null and not exists (select 1 from requests q "
        "join open_refusals o on o.destination_id = q.destination_id where q.id = untaken_calls.request_id "
        "and o.user_id = untaken_calls.user_id) and not exists (select 1 from requests q "
        "join withheld_values w on w.destination_id = q.destination_id where q.id = untaken_calls.request_id "
        "and w.user_id = untaken_calls.user_id)"
    )
    op.execute(f"create view refusals as {REFUSALS}")


def downgrade() -> None:
    op.execute("drop view refusals")
    op.drop_column("untaken_calls", "accepted_run")
    op.execute("drop view refused_calls")
    rename("open_refusals", "refusals")
    op.execute(f"create view refused_calls as {REFUSED_CALLS.format('refusals')}")
