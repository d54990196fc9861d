"""What does the store keep? Every table, with what each column means.

People are promised the views (``docs/database.md``); these tables may change with a migration.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from audience_sync.store.columns import UserIdText, UtcDateTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, comment="Always 1"),
    Column("uuid", Text, nullable=False, comment="Makes message ids unique to this installation"),
    Column("created_at", UtcDateTime, nullable=False, comment="When the store was created"),
    Column("members_table", Boolean, nullable=False, comment="Whether the table members is kept"),
    comment="This installation (one row)",
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True, comment="The run's number"),
    Column("command", Text, nullable=False, comment="sync, seed, ..."),
    Column("status", Text, nullable=False, comment="running, succeeded, partial, held or failed"),
    Column("started_at", UtcDateTime, nullable=False, comment="When it started (UTC)"),
    Column("committed_at", UtcDateTime, comment="When its changes became durable (UTC)"),
    Column("finished_at", UtcDateTime, comment="When it ended (UTC)"),
    Column("seconds", Float, comment="How long it took"),
    Column("holder", Text, nullable=False, comment="The process that ran it, and its host"),
    Column("version", Text, nullable=False, comment="The program's version"),
    Column("trait_users", Integer, comment="Users that have computed traits"),
    Column("trait_users_changed", Integer, comment="Users whose computed traits changed"),
    Column("error", Text, comment="Why it failed"),
    comment="One row a sync run",
)

chains = Table(
    "chains",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False, comment="audience or computed_trait"),
    Column("users", Integer, nullable=False, comment="Users in it now"),
    comment="A stored snapshot: one audience's members, or the values of the traits created together",
)

properties = Table(
    "properties",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False, comment="audience or computed_trait"),
    Column("key", Text, nullable=False, unique=True, comment="The user property's name, for ever"),
    Column("name", Text, nullable=False, comment="The name in the config, now"),
    Column("origin", Text, comment="The names_from entry an audience comes from"),
    Column("definition", Text, comment="A hash of where it is loaded from; recognises a renamed audience"),
    Column("chain_id", ForeignKey("chains.id"), nullable=False, comment="Where its members or values are"),
    Column("created_run_id", ForeignKey("runs.id"), nullable=False, comment="The run that created it"),
    Column("retired_at", UtcDateTime, comment="When the key was closed for good (UTC)"),
    comment="A user property: an audience or a computed trait",
)

segments = Table(
    "segments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chain_id", ForeignKey("chains.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False, comment="base or delta"),
    Column("run_id", ForeignKey("runs.id"), nullable=False, comment="The run that wrote it"),
    Column("row_count", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("checksum", Text, nullable=False, comment="blake2b of the file, checked at every read"),
    comment="Stored snapshots: a base and the deltas since, each a Parquet file sorted by user id",
)

segment_parts = Table(
    "segment_parts",
    metadata,
    Column("segment_id", ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, comment="Counted from 0"),
    Column("body", LargeBinary, nullable=False, comment="Some of the file's bytes"),
    comment="The files of the segments, in pieces that fit into memory",
)

changes = Table(
    "changes",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True, comment="The run that found the change"),
    Column("user_id", UserIdText, primary_key=True),
    Column("property_id", ForeignKey("properties.id"), primary_key=True),
    Column("value", Text, comment="The new value as JSON; NULL = gone"),
    Index("ix_changes_user_id", "user_id"),
    comment="What each run changed, after a property's first creation (append-only)",
    sqlite_with_rowid=False,
)

members = Table(
    "members",
    metadata,
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience"),
    Column("user_id", UserIdText, primary_key=True),
    Column("run_id", Integer, nullable=False, comment="The run since which the user is a member"),
    comment="The members now, derived from the segments",
    sqlite_with_rowid=False,
)

destinations = Table(
    "destinations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True, comment="Its name in the config"),
    Column("type", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    comment="Where identify calls go",
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("destination_id", ForeignKey("destinations.id"), primary_key=True),
    Column("property_id", ForeignKey("properties.id"), primary_key=True),
    Column("since_run", Integer, nullable=False, comment="The run since which the destination is told of it"),
    Column("tell_everyone", Boolean, nullable=False, comment="false = a baseline: only later changes"),
    Column("ended_run", Integer, comment="The run at which the destination was no longer to be told"),
    Column("told_before", Integer, comment="Position when it was last ended: who left since is told false"),
    comment="Which destination is told of which property",
)

feeds = Table(
    "feeds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("destination_id", ForeignKey("destinations.id"), nullable=False, index=True),
    Column("seeding_id", ForeignKey("properties.id"), comment="The audience being seeded; NULL = all others"),
    Column("position", Integer, nullable=False, comment="Everything up to this run has been told"),
    Column("attempted_run", Integer, comment="Since this run calls may have been sent without an answer"),
    comment="How far a destination has been told",
)

told_ranges = Table(
    "told_ranges",
    metadata,
    Column("feed_id", ForeignKey("feeds.id", ondelete="CASCADE"), primary_key=True),
    Column("after_user", UserIdText, primary_key=True, comment="Users greater than this one ..."),
    Column("through_user", UserIdText, nullable=False, comment="... up to this one ..."),
    Column("run_id", Integer, nullable=False, comment="... have been told everything up to this run"),
    comment="How far an unfinished delivery has got, in user order",
)

requests = Table(
    "requests",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("destination_id", ForeignKey("destinations.id"), nullable=False),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("after_user", UserIdText, nullable=False, comment="The calls of the users greater than this one"),
    Column("through_user", UserIdText, nullable=False, comment="... up to this one"),
    Column("calls", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("http_status", Integer),
    Column("answer", Text, comment="What the answer meant, without user properties"),
    Column("answered_at", UtcDateTime, nullable=False),
    Index("ix_requests_run_id", "run_id", "destination_id"),
    comment="One row a request that was answered for good",
)

refusals = Table(
    "refusals",
    metadata,
    Column("destination_id", ForeignKey("destinations.id"), primary_key=True),
    Column("user_id", UserIdText, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False, comment="The run that was refused last"),
    Column("reason", Text, nullable=False),
    Column("http_status", Integer),
    Column("attempts", Integer, nullable=False, comment="How often it was tried"),
    Column("refused_at", UtcDateTime, nullable=False),
    comment="Calls a destination refuses, until it takes them",
    sqlite_with_rowid=False,
)

refused_values = Table(
    "refused_values",
    metadata,
    Column("destination_id", ForeignKey("destinations.id"), primary_key=True),
    Column("user_id", UserIdText, primary_key=True),
    Column("property_id", ForeignKey("properties.id"), primary_key=True),
    Column("value", Text, comment="JSON; NULL = gone"),
    Column("run_id", Integer, nullable=False, comment="The run that made the change"),
    comment="What a refused call carried, owed with the newest values",
    sqlite_with_rowid=False,
)

rejections = Table(
    "rejections",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("audience_key", Text, comment="The audience; NULL = computed traits"),
    Column("file", Text, nullable=False),
    Column("row", BigInteger, nullable=False, comment="Counted from 1, the first row of data"),
    Column("user_id", Text, comment="As written"),
    Column("reason", Text, nullable=False),
    comment="Rows without a usable user id",
)

run_audiences = Table(
    "run_audiences",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("audience_key", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("members_before", Integer, nullable=False),
    Column("members_after", Integer, nullable=False),
    Column("entered", Integer, nullable=False),
    Column("left", Integer, nullable=False),
    Column("invalid", Integer, nullable=False),
    Column("error", Text),
    Index("ix_run_audiences_audience_key", "audience_key", "run_id"),
    comment="What a run found of an audience",
)

run_destinations = Table(
    "run_destinations",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("destination_id", ForeignKey("destinations.id"), primary_key=True),
    Column("calls", Integer, nullable=False, comment="Identify calls owed when the run delivered"),
    Column("delivered", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("pending", Integer, nullable=False, comment="Still owed at the end"),
    Column("retries", Integer, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("error", Text),
    comment="What a run delivered to a destination",
)

lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True, comment="Always 1"),
    Column("token", Integer, nullable=False, comment="Rises with every holder; checked at every commit"),
    Column("holder", Text, nullable=False, comment="The process at work; empty = nobody"),
    Column("acquired_at", Float, nullable=False, comment="Seconds since 1970, the database's clock"),
    Column("expires_at", Float, nullable=False, comment="Seconds since 1970, the database's clock"),
    comment="Who may write (one row)",
)
