"""Define the tables of audiences and computed traits: snapshots, changes, members."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, LargeBinary, Table, Text

from audience_sync.store.tables.base import metadata
from audience_sync.store.tables.types import UserIdText, UtcDateTime

chains = Table(
    "chains",
    metadata,
    Column("id", Integer, primary_key=True, comment="The chain"),
    Column("kind", Text, nullable=False, comment="audience or computed_trait"),
    Column("users", Integer, nullable=False, comment="Users in it now"),
    Column("changed_run_id", Integer, comment="The last run that changed who is in it, or who is held out of it"),
    comment="A stored snapshot: one audience's members, or the values of the traits created together",
)

properties = Table(
    "properties",
    metadata,
    Column("id", Integer, primary_key=True, comment="The property"),
    Column("kind", Text, nullable=False, comment="audience or computed_trait"),
    Column("key", Text, nullable=False, unique=True, comment="The user property's name, for ever"),
    Column("name", Text, nullable=False, comment="The name in the config, now"),
    Column("origin", Text, comment="The names_from entry an audience comes from"),
    Column("definition", Text, comment="A hash of where it is loaded from; recognises a renamed audience"),
    Column("chain_id", ForeignKey("chains.id"), nullable=False, comment="Where its members or values are"),
    Column("created_run_id", ForeignKey("runs.id"), nullable=False, comment="The run that created it"),
    Column("retired_at", UtcDateTime, comment="When the key was closed for good (UTC)"),
    Column("mark", Text, comment="What its source looked like when it was last taken; the same = not read again"),
    Column("invalid", Integer, comment="Rows without a usable user id in it then"),
    Column("loaded_from", Text, comment="Where its snapshots are: the file, and the source"),
    Column("loaded_from_run", Integer, comment="Since this run they are there"),
    Column("min_stay", Text, comment="How long a missing member stays, as the config says; NULL = not at all"),
    Column("source_columns", Text, comment="Its columns and their types then, where they are to stay the same (JSON)"),
    Column("holdout", Float, comment="The share of its users (0 to 1) who are held out; NULL = nobody"),
    Column(
        "holdout_salt", Text, comment="Decides, with the user id, who is: the key it had when it was first held out"
    ),
    comment="A user property: an audience or a computed trait",
)

segments = Table(
    "segments",
    metadata,
    Column("id", Integer, primary_key=True, comment="The segment"),
    Column("chain_id", ForeignKey("chains.id"), nullable=False, index=True, comment="The chain it belongs to"),
    Column("kind", Text, nullable=False, comment="base or delta"),
    Column("run_id", ForeignKey("runs.id"), nullable=False, comment="The run that wrote it"),
    Column("row_count", Integer, nullable=False, comment="Its rows"),
    Column("bytes", BigInteger, nullable=False, comment="Size of its file"),
    Column("checksum", Text, nullable=False, comment="blake2b of the file, checked at every read"),
    comment="Stored snapshots: a base and the deltas since, each a Parquet file sorted by user id",
)

segment_parts = Table(
    "segment_parts",
    metadata,
    Column("segment_id", ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True, comment="The segment"),
    Column("number", Integer, primary_key=True, comment="Counted from 0"),
    Column("body", LargeBinary, nullable=False, comment="Some of the file's bytes"),
    comment="The files of the segments, in pieces that fit into memory",
)

changes = Table(
    "changes",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True, comment="The run that found the change"),
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience or computed trait"),
    Column("value", Text, comment="The new value as JSON; NULL = gone"),
    Column("before", Text, comment="The value before as JSON, null = none; NULL = not known"),
    Index("ix_changes_user_id", "user_id"),
    comment="What each run changed, after a property's first creation (append-only)",
    sqlite_with_rowid=False,
)

members = Table(
    "members",
    metadata,
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience"),
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("run_id", Integer, nullable=False, comment="The run since which the user is a member"),
    comment="The members now, derived from the segments",
    sqlite_with_rowid=False,
)

absences = Table(
    "absences",
    metadata,
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience"),
    Column("user_id", UserIdText, primary_key=True, comment="A member whom its source doesn't have any more"),
    Column("run_id", Integer, nullable=False, comment="The run that missed them first"),
    comment="Members who stay for now although they are missing (min_stay)",
    sqlite_with_rowid=False,
)

held_out = Table(
    "held_out",
    metadata,
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience"),
    Column("user_id", UserIdText, primary_key=True, comment="A user of its source who is never told true"),
    Column("run_id", Integer, nullable=False, comment="The run since which the user is held out"),
    comment="Users who would be members, but for the holdout",
    sqlite_with_rowid=False,
)
