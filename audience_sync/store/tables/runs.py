"""Define the tables of runs, their stages and results, of schedule slots, pruned history and the lease."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text

from audience_sync.store.tables.types import UserIdText, UtcDateTime, metadata

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, comment="Always 1"),
    Column("uuid", Text, nullable=False, comment="Makes message ids unique to this installation"),
    Column("created_at", UtcDateTime, nullable=False, comment="When the store was created"),
    Column("members_table", Boolean, nullable=False, comment="Whether the table `members` is filled"),
    Column(
        "trait_values_table",
        Boolean,
        comment="Whether the table `user_traits` is filled; NULL = not yet, an older store",
    ),
    Column("state_folders", Text, comment="JSON list: folders in buckets that may have objects of this store"),
    comment="This installation (one row)",
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True, comment="The run's number"),
    Column("command", Text, nullable=False, comment="sync, seed, ..."),
    Column("status", Text, nullable=False, comment="running, succeeded, partial, held, failed or interrupted"),
    Column("started_at", UtcDateTime, nullable=False, comment="When it started (UTC)"),
    Column("committed_at", UtcDateTime, comment="When its changes became durable (UTC)"),
    Column("finished_at", UtcDateTime, comment="When it ended (UTC)"),
    Column("seconds", Float, comment="How long it took"),
    Column("holder", Text, nullable=False, comment="The process that ran it, and its host"),
    Column("version", Text, nullable=False, comment="The program's version"),
    Column("trait_users", Integer, comment="Users that have computed traits"),
    Column("trait_users_changed", Integer, comment="Users whose computed traits changed"),
    Column("error", Text, comment="Why it failed"),
    Column("nonce", Text, comment="Random part of the message ids of its changes; NULL = none, from an early version"),
    Column("clock_doubted", Boolean, comment="Whether its clock is doubted: no age is measured by it"),
    Column("counted_at", UtcDateTime, comment="The time that ages are measured by (UTC); NULL = started_at"),
    Column("inputs", Text, comment="What it depended on, with its result; unchanged, the next run repeats that (JSON)"),
    Column("covers_all", Boolean, comment="Whether it loaded every audience of the config; NULL = no"),
    Column("started_by", Text, comment="The user who started it, or whose scheduler did; NULL = not recorded"),
    Column("host", Text, comment="The host that it ran on; NULL = not recorded"),
    Column("entries", Integer, comment="Audiences, and entries of computed traits, that it was to load"),
    Column("entries_loaded", Integer, comment="How many of them it has loaded"),
    Column("active_at", UtcDateTime, comment="When it was last at work, as each renewal of its lease notes (UTC)"),
    comment="One row a sync run",
)

stage_log = Table(
    "stage_log",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, comment="The run"),
    Column("number", Integer, primary_key=True, comment="Counted from 1, in the order in which they began"),
    Column("stage", Text, nullable=False, comment="load, compare, guard, pending, commit, deliver or record"),
    Column("subject", Text, comment="The audience, `computed traits` or the destination; NULL = the whole run"),
    Column("started_at", UtcDateTime, nullable=False, comment="When it began (UTC)"),
    Column("seconds", Float, comment="How long it took; NULL = it has not ended"),
    comment="The stages of each run",
    sqlite_with_rowid=False,
)

run_webhook_log = Table(
    "run_webhook_log",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, comment="The run"),
    Column("hook", Text, primary_key=True, comment="The hook: its name in on_run, or the host of its address"),
    Column("webhook_id", Text, nullable=False, comment="The webhook-id of every attempt"),
    Column("status", Text, nullable=False, comment="waiting, accepted or given up"),
    Column("attempts", Integer, nullable=False, comment="How often it was posted"),
    Column("attempted_at", UtcDateTime, comment="When it was posted last (UTC)"),
    Column("next_attempt_at", UtcDateTime, comment="When it is due again (UTC); NULL = as soon as the run has ended"),
    Column("http_status", Integer, comment="The status of the last answer; NULL = there was none"),
    Column("error", Text, comment="Why the last attempt failed, without secrets"),
    Index("ix_run_webhook_log_status", "status", "hook"),
    comment="The webhooks about each run, one row a run and hook",
)

run_requests = Table(
    "run_requests",
    metadata,
    Column("idempotency_key", Text, primary_key=True, comment="The key that the client chose"),
    Column("fingerprint", Text, nullable=False, comment="Hash of what was asked for"),
    Column("requested_at", UtcDateTime, nullable=False, comment="When (UTC)"),
    Column("holder", Text, nullable=False, comment="The process that carries it out, and its host: as in `runs`"),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), comment="The run; NULL = it has not begun"),
    Index(None, "run_id"),
    comment="Requests for runs over HTTP that have an idempotency key",
)

run_audiences = Table(
    "run_audiences",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True, comment="The run"),
    Column("audience_key", Text, primary_key=True, comment="The audience"),
    Column(
        "status", Text, nullable=False, comment="created, synced, unchanged, held, failed, waiting, frozen or retired"
    ),
    Column("members_before", Integer, nullable=False, comment="Members before the run"),
    Column("members_after", Integer, nullable=False, comment="Members after it"),
    Column("entered", Integer, nullable=False, comment="Users who entered"),
    Column("left", Integer, nullable=False, comment="Users who left"),
    Column("invalid", Integer, nullable=False, comment="Rows without a usable user id"),
    Column("error", Text, comment="Why it failed, is held, waits or is frozen"),
    Column("absent", Integer, comment="Members who are missing from the snapshot and stay for now (min_stay)"),
    Column("returned", Integer, comment="Members who had been missing and came back in time"),
    Column("held_out", Integer, comment="Users of its source who are never sent true (holdout)"),
    Column("name", Text, comment="Its name in the config, if it has not been created yet"),
    Column("source", Text, comment="Its source, if it has not been created yet"),
    Column("config_changes", Text, comment="How its config had changed since it was last used; NULL = not at all"),
    Index("ix_run_audiences_audience_key", "audience_key", "run_id"),
    comment="The result of each audience of a run",
)

run_destinations = Table(
    "run_destinations",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True, comment="The run"),
    Column("destination_id", ForeignKey("delivery_destinations.id"), primary_key=True, comment="The destination"),
    Column("calls", Integer, nullable=False, comment="Identify calls to deliver"),
    Column("delivered", Integer, nullable=False, comment="Calls that the destination accepted"),
    Column("refused", Integer, nullable=False, comment="Calls that the destination refused"),
    Column("pending", Integer, nullable=False, comment="Calls without an answer when the run ended"),
    Column("retries", Integer, nullable=False, comment="Requests that were sent again"),
    Column("requests", Integer, nullable=False, comment="Requests sent"),
    Column("seconds", Float, nullable=False, comment="How long it took"),
    Column("error", Text, comment="Why it stopped"),
    comment="The result of each destination of a run",
)

run_invalid_rows = Table(
    "run_invalid_rows",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True, comment="The run that read the row"),
    Column("number", Integer, primary_key=True, comment="Counted from 1 in the run"),
    Column("audience_key", Text, comment="The audience; NULL = computed traits"),
    Column("file", Text, nullable=False, comment="The file, or the query"),
    Column("row", BigInteger, nullable=False, comment="The number of the row, from 1 for the first row of data"),
    Column("user_id", Text, comment="The user id as written"),
    Column("reason", Text, nullable=False, comment="Why it has no usable user id"),
    comment="Rows without a usable user id",
)

pruned_history = Table(
    "pruned_history",
    metadata,
    Column("history", Text, primary_key=True, comment="changes, requests, invalid_rows or runs"),
    Column("through_run", Integer, nullable=False, comment="Rows up to this run may have been deleted"),
    Column("next_run", Integer, nullable=False, comment="The deletion continues with this run ..."),
    Column("after_user", UserIdText, nullable=False, comment="... and the users greater than this one"),
    comment="The parts of the history that retention has deleted",
)

lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True, comment="Always 1"),
    Column("token", Integer, nullable=False, comment="Rises with every owner; checked at every commit"),
    Column("holder", Text, nullable=False, comment="The process that owns the lease; empty = none"),
    Column("acquired_at", Float, nullable=False, comment="When it was acquired (seconds since 1970, database's clock)"),
    Column("expires_at", Float, nullable=False, comment="When it expires (seconds since 1970, database's clock)"),
    Column("time_to_live", Float, comment="Seconds of each renewal; an expiry further ahead is ignored"),
    comment="The run lock: the process that may write (one row)",
)

schedule_slots = Table(
    "schedule_slots",
    metadata,
    Column("schedule", Text, primary_key=True, comment="The schedule in the config"),
    Column("due_at", UtcDateTime, primary_key=True, comment="The scheduled time (UTC)"),
    Column("run_id", ForeignKey("runs.id"), index=True, comment="The run for it; NULL = first seen then"),
    Column("missed", Integer, nullable=False, comment="Earlier times without a run, which this run makes up for"),
    Column("missed_since", UtcDateTime, comment="The first of those times (UTC)"),
    Column("ended_at", UtcDateTime, comment="When its run ended (UTC); NULL = it did not end, and another is due"),
    comment="Scheduled times, and the runs for them",
)
