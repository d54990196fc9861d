"""Create the store: runs, snapshots and their changes, destinations and what they were told; the views."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

USER_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

#: The views people are promised (docs/database.md), in the order they are made.
VIEWS = {
    "sync_runs": """
        select r.id as run, r.command, r.status, r.started_at, r.finished_at, r.seconds,
            (select count(*) from run_audiences a where a.run_id = r.id) as audiences,
            (select coalesce(sum(a.entered), 0) from run_audiences a where a.run_id = r.id) as entered,
            (select coalesce(sum(a."left"), 0) from run_audiences a where a.run_id = r.id) as "left",
            (select count(*) from run_audiences a where a.run_id = r.id and a.status = 'held') as held,
            (select count(*) from run_audiences a where a.run_id = r.id and a.status = 'failed') as failed,
            coalesce(r.trait_users_changed, 0) as trait_users_changed,
            (select coalesce(sum(d.delivered), 0) from run_destinations d where d.run_id = r.id) as delivered,
            (select coalesce(sum(d.refused), 0) from run_destinations d where d.run_id = r.id) as refused,
            (select coalesce(sum(d.pending), 0) from run_destinations d where d.run_id = r.id) as pending,
            r.error
        from runs r""",
    "audience_syncs": """
        select run_id as run, audience_key, status, members_before, members_after, entered,
            "left", invalid, error
        from run_audiences""",
    "deliveries": """
        select r.run_id as run, d.name as destination, r.calls, r.delivered, r.refused, r.pending, r.retries,
            r.requests, r.seconds, r.error
        from run_destinations r join destinations d on d.id = r.destination_id""",
    "audience_members": """
        select p.key as audience_key, m.user_id, r.started_at as member_since, m.run_id as since_run
        from members m join properties p on p.id = m.property_id join runs r on r.id = m.run_id""",
    "membership_changes": """
        select c.run_id as run, p.key as audience_key, c.user_id,
            case c.value when 'true' then 'entered' else 'left' end as change, r.started_at as changed_at
        from changes c join properties p on p.id = c.property_id and p.kind = 'audience'
            join runs r on r.id = c.run_id""",
    "refused_calls": """
        select f.run_id as run, d.name as destination, f.user_id, f.reason, f.http_status, f.attempts,
            f.refused_at
        from refusals f join destinations d on d.id = f.destination_id""",
    "rejected_rows": """
        select run_id as run, audience_key, file, "row", user_id, reason
        from rejections""",
}


def upgrade() -> None:
    op.create_table(
        "chains",
        sa.Column("id", sa.Integer(), nullable=False, comment="The chain"),
        sa.Column("kind", sa.Text(), nullable=False, comment="audience or computed_trait"),
        sa.Column("users", sa.Integer(), nullable=False, comment="Users in it now"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chains")),
        comment="A stored snapshot: one audience's members, or the values of the traits created together",
    )
    op.create_table(
        "destinations",
        sa.Column("id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("name", sa.Text(), nullable=False, comment="Its name in the config"),
        sa.Column("type", sa.Text(), nullable=False, comment="The protocol it speaks"),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first told anything (UTC)"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destinations")),
        sa.UniqueConstraint("name", name=op.f("uq_destinations_name")),
        comment="Where identify calls go",
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False, comment="Always 1"),
        sa.Column("uuid", sa.Text(), nullable=False, comment="Makes message ids unique to this installation"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When the store was created"),
        sa.Column("members_table", sa.Boolean(), nullable=False, comment="Whether the table members is kept"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        comment="This installation (one row)",
    )
    op.create_table(
        "lease",
        sa.Column("id", sa.Integer(), nullable=False, comment="Always 1"),
        sa.Column("token", sa.Integer(), nullable=False, comment="Rises with every holder; checked at every commit"),
        sa.Column("holder", sa.Text(), nullable=False, comment="The process at work; empty = nobody"),
        sa.Column("acquired_at", sa.Float(), nullable=False, comment="Seconds since 1970, the database's clock"),
        sa.Column("expires_at", sa.Float(), nullable=False, comment="Seconds since 1970, the database's clock"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
        comment="Who may write (one row)",
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False, comment="The run's number"),
        sa.Column("command", sa.Text(), nullable=False, comment="sync, seed, ..."),
        sa.Column("status", sa.Text(), nullable=False, comment="running, succeeded, partial, held or failed"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="When it started (UTC)"),
        sa.Column(
            "committed_at", sa.DateTime(timezone=True), nullable=True, comment="When its changes became durable (UTC)"
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True, comment="When it ended (UTC)"),
        sa.Column("seconds", sa.Float(), nullable=True, comment="How long it took"),
        sa.Column("holder", sa.Text(), nullable=False, comment="The process that ran it, and its host"),
        sa.Column("version", sa.Text(), nullable=False, comment="The program's version"),
        sa.Column("trait_users", sa.Integer(), nullable=True, comment="Users that have computed traits"),
        sa.Column("trait_users_changed", sa.Integer(), nullable=True, comment="Users whose computed traits changed"),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it failed"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        comment="One row a sync run",
    )
    op.create_table(
        "properties",
        sa.Column("id", sa.Integer(), nullable=False, comment="The property"),
        sa.Column("kind", sa.Text(), nullable=False, comment="audience or computed_trait"),
        sa.Column("key", sa.Text(), nullable=False, comment="The user property's name, for ever"),
        sa.Column("name", sa.Text(), nullable=False, comment="The name in the config, now"),
        sa.Column("origin", sa.Text(), nullable=True, comment="The names_from entry an audience comes from"),
        sa.Column(
            "definition",
            sa.Text(),
            nullable=True,
            comment="A hash of where it is loaded from; recognises a renamed audience",
        ),
        sa.Column("chain_id", sa.Integer(), nullable=False, comment="Where its members or values are"),
        sa.Column("created_run_id", sa.Integer(), nullable=False, comment="The run that created it"),
        sa.Column(
            "retired_at", sa.DateTime(timezone=True), nullable=True, comment="When the key was closed for good (UTC)"
        ),
        sa.ForeignKeyConstraint(["chain_id"], ["chains.id"], name=op.f("fk_properties_chain_id")),
        sa.ForeignKeyConstraint(["created_run_id"], ["runs.id"], name=op.f("fk_properties_created_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_properties")),
        sa.UniqueConstraint("key", name=op.f("uq_properties_key")),
        comment="A user property: an audience or a computed trait",
    )
    op.create_table(
        "refusals",
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="Who refuses it"),
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that was refused last"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, without secrets and user properties"),
        sa.Column("http_status", sa.Integer(), nullable=True, comment="The status, where there was one"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it was tried"),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False, comment="When it was refused last (UTC)"),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name=op.f("fk_refusals_destination_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_refusals_run_id")),
        sa.PrimaryKeyConstraint("destination_id", "user_id", name=op.f("pk_refusals")),
        comment="Calls a destination refuses, until it takes them",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rejections",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that met the row"),
        sa.Column("number", sa.Integer(), nullable=False, comment="Counted from 1 in the run"),
        sa.Column("audience_key", sa.Text(), nullable=True, comment="The audience; NULL = computed traits"),
        sa.Column("file", sa.Text(), nullable=False, comment="The file, or what else it was read from"),
        sa.Column("row", sa.BigInteger(), nullable=False, comment="Counted from 1, the first row of data"),
        sa.Column("user_id", sa.Text(), nullable=True, comment="As written"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it has no usable user id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_rejections_run_id")),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_rejections")),
        comment="Rows without a usable user id",
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, comment="The request"),
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="Where it went"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that sent it"),
        sa.Column("after_user", USER_ID, nullable=False, comment="The calls of the users greater than this one"),
        sa.Column("through_user", USER_ID, nullable=False, comment="... up to this one"),
        sa.Column("calls", sa.Integer(), nullable=False, comment="Identify calls in it"),
        sa.Column("refused", sa.Integer(), nullable=False, comment="How many of them were refused"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it was sent, parts included"),
        sa.Column("http_status", sa.Integer(), nullable=True, comment="The last status, where there is one"),
        sa.Column("answer", sa.Text(), nullable=True, comment="What the answer meant, without user properties"),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False, comment="When the answer came (UTC)"),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name=op.f("fk_requests_destination_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_requests_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        comment="One row a request that was answered for good",
    )
    op.create_index("ix_requests_run_id", "requests", ["run_id", "destination_id"], unique=False)
    op.create_table(
        "run_audiences",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run"),
        sa.Column("audience_key", sa.Text(), nullable=False, comment="The audience"),
        sa.Column("status", sa.Text(), nullable=False, comment="created, synced, unchanged, held, failed or waiting"),
        sa.Column("members_before", sa.Integer(), nullable=False, comment="Members before the run"),
        sa.Column("members_after", sa.Integer(), nullable=False, comment="Members after it"),
        sa.Column("entered", sa.Integer(), nullable=False, comment="Users who entered"),
        sa.Column("left", sa.Integer(), nullable=False, comment="Users who left"),
        sa.Column("invalid", sa.Integer(), nullable=False, comment="Rows without a usable user id"),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it failed, is held or waits"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_audiences_run_id")),
        sa.PrimaryKeyConstraint("run_id", "audience_key", name=op.f("pk_run_audiences")),
        comment="What a run found of an audience",
    )
    op.create_index("ix_run_audiences_audience_key", "run_audiences", ["audience_key", "run_id"], unique=False)
    op.create_table(
        "run_destinations",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run"),
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("calls", sa.Integer(), nullable=False, comment="Identify calls owed when the run delivered"),
        sa.Column("delivered", sa.Integer(), nullable=False, comment="Calls it took"),
        sa.Column("refused", sa.Integer(), nullable=False, comment="Calls it refused"),
        sa.Column("pending", sa.Integer(), nullable=False, comment="Still owed at the end"),
        sa.Column("retries", sa.Integer(), nullable=False, comment="Requests that were sent again"),
        sa.Column("requests", sa.Integer(), nullable=False, comment="Requests sent"),
        sa.Column("seconds", sa.Float(), nullable=False, comment="How long it took"),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it stopped"),
        sa.ForeignKeyConstraint(
            ["destination_id"], ["destinations.id"], name=op.f("fk_run_destinations_destination_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_destinations_run_id")),
        sa.PrimaryKeyConstraint("run_id", "destination_id", name=op.f("pk_run_destinations")),
        comment="What a run delivered to a destination",
    )
    op.create_table(
        "segments",
        sa.Column("id", sa.Integer(), nullable=False, comment="The segment"),
        sa.Column("chain_id", sa.Integer(), nullable=False, comment="The chain it belongs to"),
        sa.Column("kind", sa.Text(), nullable=False, comment="base or delta"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that wrote it"),
        sa.Column("row_count", sa.Integer(), nullable=False, comment="Its rows"),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="Size of its file"),
        sa.Column("checksum", sa.Text(), nullable=False, comment="blake2b of the file, checked at every read"),
        sa.ForeignKeyConstraint(["chain_id"], ["chains.id"], name=op.f("fk_segments_chain_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_segments_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        comment="Stored snapshots: a base and the deltas since, each a Parquet file sorted by user id",
    )
    op.create_index(op.f("ix_segments_chain_id"), "segments", ["chain_id"], unique=False)
    op.create_table(
        "changes",
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that found the change"),
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience or computed trait"),
        sa.Column("value", sa.Text(), nullable=True, comment="The new value as JSON; NULL = gone"),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_changes_property_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_changes_run_id")),
        sa.PrimaryKeyConstraint("run_id", "user_id", "property_id", name=op.f("pk_changes")),
        comment="What each run changed, after a property's first creation (append-only)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_changes_user_id", "changes", ["user_id"], unique=False)
    op.create_table(
        "feeds",
        sa.Column("id", sa.Integer(), nullable=False, comment="The feed"),
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination it tells"),
        sa.Column("seeding_id", sa.Integer(), nullable=True, comment="The audience being seeded; NULL = all others"),
        sa.Column("position", sa.Integer(), nullable=False, comment="Everything up to this run has been told"),
        sa.Column(
            "attempted_run",
            sa.Integer(),
            nullable=True,
            comment="Since this run calls may have been sent without an answer",
        ),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name=op.f("fk_feeds_destination_id")),
        sa.ForeignKeyConstraint(["seeding_id"], ["properties.id"], name=op.f("fk_feeds_seeding_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feeds")),
        comment="How far a destination has been told",
    )
    op.create_index(op.f("ix_feeds_destination_id"), "feeds", ["destination_id"], unique=False)
    op.create_table(
        "members",
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience"),
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run since which the user is a member"),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_members_property_id")),
        sa.PrimaryKeyConstraint("property_id", "user_id", name=op.f("pk_members")),
        comment="The members now, derived from the segments",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "refused_values",
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="Who refused it"),
        sa.Column("user_id", USER_ID, nullable=False, comment="The user"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience or computed trait"),
        sa.Column("value", sa.Text(), nullable=True, comment="JSON; NULL = gone"),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="The run that made the change"),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name=op.f("fk_refused_values_destination_id")),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_refused_values_property_id")),
        sa.PrimaryKeyConstraint("destination_id", "user_id", "property_id", name=op.f("pk_refused_values")),
        comment="What a refused call carried, owed with the newest values",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "segment_parts",
        sa.Column("segment_id", sa.Integer(), nullable=False, comment="The segment"),
        sa.Column("number", sa.Integer(), nullable=False, comment="Counted from 0"),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="Some of the file's bytes"),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segments.id"], name=op.f("fk_segment_parts_segment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("segment_id", "number", name=op.f("pk_segment_parts")),
        comment="The files of the segments, in pieces that fit into memory",
    )
    op.create_table(
        "subscriptions",
        sa.Column("destination_id", sa.Integer(), nullable=False, comment="The destination"),
        sa.Column("property_id", sa.Integer(), nullable=False, comment="The audience or computed trait"),
        sa.Column(
            "since_run", sa.Integer(), nullable=False, comment="The run since which the destination is told of it"
        ),
        sa.Column("tell_everyone", sa.Boolean(), nullable=False, comment="false = a baseline: only later changes"),
        sa.Column(
            "ended_run",
            sa.Integer(),
            nullable=True,
            comment="The run at which the destination was no longer to be told",
        ),
        sa.Column(
            "told_before",
            sa.Integer(),
            nullable=True,
            comment="The run it had been told up to when it last ended",
        ),
        sa.ForeignKeyConstraint(["destination_id"], ["destinations.id"], name=op.f("fk_subscriptions_destination_id")),
        sa.ForeignKeyConstraint(["property_id"], ["properties.id"], name=op.f("fk_subscriptions_property_id")),
        sa.PrimaryKeyConstraint("destination_id", "property_id", name=op.f("pk_subscriptions")),
        comment="Which destination is told of which property",
    )
    op.create_table(
        "told_ranges",
        sa.Column("feed_id", sa.Integer(), nullable=False, comment="The feed"),
        sa.Column("after_user", USER_ID, nullable=False, comment="Users greater than this one ..."),
        sa.Column("through_user", USER_ID, nullable=False, comment="... up to this one ..."),
        sa.Column("run_id", sa.Integer(), nullable=False, comment="... have been told everything up to this run"),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"], name=op.f("fk_told_ranges_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("feed_id", "after_user", name=op.f("pk_told_ranges")),
        comment="How far an unfinished delivery has got, in user order",
    )
    for name, query in VIEWS.items():
        op.execute(f"create view {name} as {query}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"drop view {name}")
    op.drop_table("told_ranges")
    op.drop_table("subscriptions")
    op.drop_table("segment_parts")
    op.drop_table("refused_values")
    op.drop_table("members")
    op.drop_index(op.f("ix_feeds_destination_id"), table_name="feeds")
    op.drop_table("feeds")
    op.drop_index("ix_changes_user_id", table_name="changes")
    op.drop_table("changes")
    op.drop_index(op.f("ix_segments_chain_id"), table_name="segments")
    op.drop_table("segments")
    op.drop_table("run_destinations")
    op.drop_index("ix_run_audiences_audience_key", table_name="run_audiences")
    op.drop_table("run_audiences")
    op.drop_index("ix_requests_run_id", table_name="requests")
    op.drop_table("requests")
    op.drop_table("rejections")
    op.drop_table("refusals")
    op.drop_table("properties")
    op.drop_table("runs")
    op.drop_table("lease")
    op.drop_table("installation")
    op.drop_table("destinations")
    op.drop_table("chains")
