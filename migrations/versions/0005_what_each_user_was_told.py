"""What each user was told can be worked out of what is kept: the terms of every request, and the calls not taken.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

USER_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _upgrade_requests()
    _create_untaken_calls()
    _create_terms()
    op.create_table(
        "past_suppressions",
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("origin", sa.Text(), nullable=False, comment="As in suppressions"),
        sa.Column(
            "since", sa.DateTime(timezone=True), nullable=False, comment="When the user came onto the list (UTC)"
        ),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False, comment="When the user was taken off it (UTC)"),
        sa.PrimaryKeyConstraint("user_id", "origin", "since", name=op.f("pk_past_suppressions")),
        comment="Users who were suppressed and no longer are (append-only)",
        sqlite_with_rowid=False,
    )
    _upgrade_snapshots()


def _upgrade_snapshots() -> None:
    columns = {
        "loaded_from": (sa.Text(), "Where its snapshots are: the file, and the source"),
        "loaded_from_run": (sa.Integer(), "Since this run they are there"),
    }
    for name, (kind, comment) in columns.items():
        op.add_column("properties", sa.Column(name, kind, nullable=True, comment=comment))
    comment = "The value before as JSON, null = none; NULL = not known"
    op.add_column("changes", sa.Column("before", sa.Text(), nullable=True, comment=comment))
    earlier = "from changes e where e.user_id = c.user_id and e.property_id = c.property_id and e.run_id < c.run_id"
    op.execute(
        f"update changes as c set before = (select coalesce(e.value, 'null') {earlier} order by e.run_id desc limit 1)"
    )


def _upgrade_requests() -> None:
    columns = {
        "seeding_id": (sa.Integer(), "The audience that was seeded with it; NULL = all others"),
        "position": (sa.Integer(), "Everyone had been told everything up to this run before it"),
        "attempted_run": (sa.Integer(), "Since this run calls may have been sent without an answer"),
        "retried": (sa.Boolean(), "Whether calls that had been refused were in it, unchanged ones too"),
    }
    for name, (kind, comment) in columns.items():
        op.add_column("requests", sa.Column(name, kind, nullable=True, comment=comment))
    op.drop_index("ix_requests_run_id", "requests")
    op.create_index("ix_requests_run_id", "requests", ["run_id", "destination_id", "seeding_id", "through_user"])


def _create_untaken_calls() -> None:
    op.create_table(
        "untaken_calls",
        sa.Column(
            "request_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="The request",
        ),
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=True,
            comment="Why it was refused; NULL = not sent, the user had just been suppressed",
        ),
        sa.Column("http_status", sa.Integer(), nullable=True, comment="The status, where there was one"),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name=op.f("fk_untaken_calls_request_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("request_id", "user_id", name=op.f("pk_untaken_calls")),
        comment="Calls of a request that the destination did not take (append-only)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_untaken_calls_user_id", "untaken_calls", ["user_id"])
    op.execute(
        "insert into untaken_calls (request_id, user_id, reason, http_status) "
        "select min(q.id), f.user_id, f.reason, f.http_status from refusals f join requests q "
        "on q.run_id = f.run_id and q.destination_id = f.destination_id "
        "and q.after_user < f.user_id and q.through_user >= f.user_id "
        "group by f.destination_id, f.user_id, f.reason, f.http_status"
    )


def _create_terms() -> None:
    op.create_table(
        "subscription_terms",
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience or computed trait"),
        sa.Column(
            "from_run", sa.Integer(), nullable=False, comment="From this run on, until the next row of the same two"
        ),
        sa.Column("since_run", sa.Integer(), nullable=False, comment="As in subscriptions"),
        sa.Column("tell_everyone", sa.Boolean(), nullable=False, comment="As in subscriptions"),
        sa.Column("ended_run", sa.Integer(), nullable=True, comment="As in subscriptions"),
        sa.Column("told_before", sa.Integer(), nullable=True, comment="As in subscriptions"),
        sa.Column("seeding", sa.Boolean(), nullable=False, comment="Whether it was being seeded by hand"),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["destinations.id"], name=op.f("fk_subscription_terms_destination_id")
        ),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_subscription_terms_property_id")),
        sa.PrimaryKeyConstraint("destination_id", "property_id", "from_run", name=op.f("pk_subscription_terms")),
        comment="What subscriptions said at every run (append-only)",
    )
    op.execute(
        "insert into subscription_terms (destination_id, property_id, from_run, since_run, tell_everyone, ended_run, "
        "told_before, seeding) select s.destination_id, s.property_id, coalesce(s.ended_run, s.since_run), "
        "s.since_run, s.tell_everyone, s.ended_run, s.told_before, exists (select 1 from feeds f "
        "where f.destination_id = s.destination_id and f.seeding_id = s.property_id) from subscriptions s"
    )


def downgrade() -> None:
    op.drop_column("changes", "before")
    for name in ("loaded_from_run", "loaded_from"):
        op.drop_column("properties", name)
    op.drop_table("past_suppressions")
    op.drop_table("subscription_terms")
    op.drop_index("ix_untaken_calls_user_id", "untaken_calls")
    op.drop_table("untaken_calls")
    op.drop_index("ix_requests_run_id", "requests")
    op.create_index("ix_requests_run_id", "requests", ["run_id", "destination_id"])
    for name in ("retried", "attempted_run", "position", "seeding_id"):
        op.drop_column("requests", name)
