"""Define the tables of audiences and computed traits: snapshots, changes, members."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, LargeBinary, Table, Text

from audience_sync.store.tables.types import UserIdText, UtcDateTime, metadata

#: The option of a statement that reads contents of files. PostgreSQL would send each byte as two digits.
BINARY = "audience_sync_binary"

snapshot_chains = Table(
    "snapshot_chains",
    metadata,
    Column("id", Integer, primary_key=True, comment="The chain"),
    Column("kind", Text, nullable=False, comment="audience or computed_trait"),
    Column("user_count", Integer, nullable=False, comment="Users in it now"),
    Column("changed_run_id", Integer, comment="The last run that changed its users, or those held out of it"),
    comment="Stored snapshots: the members of an audience, or the values of traits created together",
)

properties = Table(
    "properties",
    metadata,
    Column("id", Integer, primary_key=True, comment="The property"),
    Column("kind", Text, nullable=False, comment="audience or computed_trait"),
    Column("key", Text, nullable=False, unique=True, comment="The name of the user property; it never changes"),
    Column("name", Text, nullable=False, comment="The current name in the config"),
    Column("origin", Text, comment="The names_from entry an audience comes from"),
    Column("definition", Text, comment="A hash of its source; recognises a renamed audience"),
    Column("chain_id", ForeignKey("snapshot_chains.id"), nullable=False, comment="Its members or values"),
    Column("created_run_id", ForeignKey("runs.id"), nullable=False, comment="The run that created it"),
    Column("retired_at", UtcDateTime, comment="When the key was closed for good (UTC)"),
    Column("fingerprint", Text, comment="Fingerprint of the source when last used; the same = not read again"),
    Column("invalid", Integer, comment="Rows without a usable user id in that snapshot"),
    Column("loaded_from", Text, comment="The file and source of its snapshots"),
    Column("loaded_from_run", Integer, comment="The first run that loaded from there"),
    Column("min_stay", Text, comment="How long a missing member stays, as in the config; NULL = not at all"),
    Column("source_columns", Text, comment="Columns and types (JSON) that have to stay the same"),
    Column("holdout", Float, comment="The share of its users (0 to 1) who are held out; NULL = none"),
    Column("holdout_salt", Text, comment="With the user id it selects them: the key at the first holdout"),
    Column("source", Text, comment="The source of its snapshots, as named in the config"),
    Column("guard", Text, comment="Its guard's limits when last used, as in the config"),
    Column("claims", Text, comment="The earlier audiences in its group, each with its last change, when last compared"),
    comment="User properties: audiences and computed traits",
)

snapshot_files = Table(
    "snapshot_files",
    metadata,
    Column("id", Integer, primary_key=True, comment="The file"),
    Column("chain_id", ForeignKey("snapshot_chains.id"), nullable=False, index=True, comment="Its chain"),
    Column("kind", Text, nullable=False, comment="base or delta"),
    Column("run_id", ForeignKey("runs.id"), nullable=False, comment="The run that wrote it"),
    Column("row_count", Integer, nullable=False, comment="Number of rows"),
    Column("bytes", BigInteger, nullable=False, comment="Size"),
    Column("checksum", Text, nullable=False, comment="blake2b of the bytes, checked at every read"),
    Column("object_url", Text, comment="The URL of the object in a bucket that has its bytes; NULL = in chunks, here"),
    comment="The files of a chain, a base and later deltas: Parquet, sorted by user id",
)

snapshot_file_chunks = Table(
    "snapshot_file_chunks",
    metadata,
    Column("file_id", ForeignKey("snapshot_files.id", ondelete="CASCADE"), primary_key=True, comment="The file"),
    Column("number", Integer, primary_key=True, comment="Counted from 0"),
    Column("content", LargeBinary, nullable=False, comment="Bytes of the file"),
    comment="The bytes of snapshot files, in chunks that fit into memory",
)

source_states = Table(
    "source_states",
    metadata,
    Column("id", Integer, primary_key=True, comment="Rises: a table's changes come after those of lower ones"),
    Column(
        "subject",
        Text,
        nullable=False,
        index=True,
        comment="The audience, the names_from entry, or an entry of computed traits",
    ),
    Column("source", Text, nullable=False, comment="The source, as named in the config"),
    Column("kind", Text, nullable=False, comment="base or delta"),
    Column("table_name", Text, nullable=False, unique=True, comment="Its name in the source's schema"),
    Column("row_count", BigInteger, nullable=False, comment="Its rows; another number means that it is damaged"),
    Column("left_out", Text, comment="JSON list: audiences or traits whose rows in it were not accepted"),
    Column("reread", Text, comment="JSON list: users whose rows every run reads, as a value is invalid or rows differ"),
    comment="Tables in warehouses with the last snapshots, for sources with compare: in_warehouse",
)

# The next three tables get many rows at once. PostgreSQL checks a foreign key row by row, which takes twice the time of
# writing the row; so they have none, and `db check` looks for rows without a parent.
changes = Table(
    "changes",
    metadata,
    Column("run_id", Integer, primary_key=True, comment="The run that found the change"),
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("property_id", Integer, primary_key=True, comment="The audience or computed trait"),
    Column("value", Text, comment="The new value as JSON; NULL = removed"),
    Column("previous_value", Text, comment="The previous value as JSON, null = no value; NULL = not recorded"),
    Index("ix_changes_user_id", "user_id"),
    comment="Changes by each run, after the creation of a property (append-only)",
    sqlite_with_rowid=False,
)

members = Table(
    "members",
    metadata,
    Column("property_id", Integer, primary_key=True, comment="The audience"),
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("run_id", Integer, nullable=False, comment="The run since which the user is a member"),
    comment="The current members, derived from the snapshots",
    sqlite_with_rowid=False,
)

user_traits = Table(
    "user_traits",
    metadata,
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("chain_id", Integer, primary_key=True, comment="The chain of the computed traits"),
    Column("traits", Text, nullable=False, comment="JSON object: by key of a trait, the text of its value as JSON"),
    comment="The current values of computed traits, derived from the snapshots",
    sqlite_with_rowid=False,
)

absences = Table(
    "absences",
    metadata,
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience"),
    Column("user_id", UserIdText, primary_key=True, comment="A member that its source no longer contains"),
    Column("run_id", Integer, nullable=False, comment="The first run that missed the member"),
    comment="Missing members who stay for now (min_stay)",
    sqlite_with_rowid=False,
)

held_out_users = Table(
    "held_out_users",
    metadata,
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience"),
    Column("user_id", UserIdText, primary_key=True, comment="A user of its source who is never sent true"),
    Column("run_id", Integer, nullable=False, comment="The run since which the user is held out"),
    comment="Users who would be members without the holdout",
    sqlite_with_rowid=False,
)

claimed_users = Table(
    "claimed_users",
    metadata,
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience"),
    Column("user_id", UserIdText, primary_key=True, comment="A user of its last snapshot, and of an earlier audience"),
    Column("run_id", Integer, nullable=False, comment="The run since which the user is in an earlier one"),
    comment="Users whom earlier audiences of a priority group claim, for snapshots that a warehouse compares",
    sqlite_with_rowid=False,
)
