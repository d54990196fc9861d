"""Define the tables of deliveries: destinations, subscriptions, cursors, requests, refusals."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from audience_sync.store.tables.base import metadata
from audience_sync.store.tables.types import UserIdText, UtcDateTime

destinations = Table(
    "destinations",
    metadata,
    Column("id", Integer, primary_key=True, comment="The destination"),
    Column("name", Text, nullable=False, unique=True, comment="Its name in the config"),
    Column("type", Text, nullable=False, comment="The protocol it speaks"),
    Column("created_at", UtcDateTime, nullable=False, comment="When it was first told anything (UTC)"),
    comment="Where identify calls go",
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("destination_id", ForeignKey("destinations.id"), primary_key=True, comment="The destination"),
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience or computed trait"),
    Column("since_run", Integer, nullable=False, comment="The run since which the destination is told of it"),
    Column("tell_everyone", Boolean, nullable=False, comment="false = a baseline: only later changes"),
    Column("ended_run", Integer, comment="The run at which the destination was no longer to be told"),
    Column("told_before", Integer, comment="The run it had been told up to when it last ended"),
    comment="Which destination is told of which property",
)

subscription_history = Table(
    "subscription_terms",
    metadata,
    Column("destination_id", ForeignKey("destinations.id"), primary_key=True, comment="The destination"),
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience or computed trait"),
    Column("from_run", Integer, primary_key=True, comment="From this run on, until the next row of the same two"),
    Column("since_run", Integer, nullable=False, comment="As in subscriptions"),
    Column("tell_everyone", Boolean, nullable=False, comment="As in subscriptions"),
    Column("ended_run", Integer, comment="As in subscriptions"),
    Column("told_before", Integer, comment="As in subscriptions"),
    Column("seeding", Boolean, nullable=False, comment="Whether it was being seeded by hand"),
    comment="What subscriptions said at every run (append-only)",
)

delivery_cursors = Table(
    "feeds",
    metadata,
    Column("id", Integer, primary_key=True, comment="The feed"),
    Column(
        "destination_id", ForeignKey("destinations.id"), nullable=False, index=True, comment="The destination it tells"
    ),
    Column("seeding_id", ForeignKey("properties.id"), comment="The audience being seeded; NULL = all others"),
    Column("position", Integer, nullable=False, comment="Everything up to this run has been told"),
    Column("attempted_run", Integer, comment="Since this run calls may have been sent without an answer"),
    comment="How far a destination has been told",
)

delivered_ranges = Table(
    "told_ranges",
    metadata,
    Column("feed_id", ForeignKey("feeds.id", ondelete="CASCADE"), primary_key=True, comment="The feed"),
    Column("after_user", UserIdText, primary_key=True, comment="Users greater than this one ..."),
    Column("through_user", UserIdText, nullable=False, comment="... up to this one ..."),
    Column("run_id", Integer, nullable=False, comment="... have been told everything up to this run"),
    comment="How far an unfinished delivery has got, in user order",
)

requests = Table(
    "requests",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, comment="The request"),
    Column("destination_id", ForeignKey("destinations.id"), nullable=False, comment="Where it went"),
    Column("run_id", ForeignKey("runs.id"), nullable=False, comment="The run that sent it"),
    Column("after_user", UserIdText, nullable=False, comment="The calls of the users greater than this one"),
    Column("through_user", UserIdText, nullable=False, comment="... up to this one"),
    Column("calls", Integer, nullable=False, comment="Identify calls in it"),
    Column("refused", Integer, nullable=False, comment="How many of them were refused"),
    Column("attempts", Integer, nullable=False, comment="How often it was sent, parts included"),
    Column("http_status", Integer, comment="The last status, where there is one"),
    Column("answer", Text, comment="What the answer meant, without user properties"),
    Column("answered_at", UtcDateTime, nullable=False, comment="When the answer came (UTC)"),
    Column("seeding_id", Integer, comment="The audience that was seeded with it; NULL = all others"),
    Column("position", Integer, comment="Everyone had been told everything up to this run before it"),
    Column("attempted_run", Integer, comment="Since this run calls may have been sent without an answer"),
    Column("retried", Boolean, comment="Whether calls that had been refused were in it, unchanged ones too"),
    Index("ix_requests_run_id", "run_id", "destination_id", "seeding_id", "through_user"),
    comment="One row a request that was answered for good",
)

rejected_calls = Table(
    "untaken_calls",
    metadata,
    Column("request_id", ForeignKey("requests.id", ondelete="CASCADE"), primary_key=True, comment="The request"),
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("reason", Text, comment="Why it was refused; NULL = not sent, the user had just been suppressed"),
    Column("http_status", Integer, comment="The status, where there was one"),
    Column(
        "accepted_run",
        Integer,
        comment="The run whose call the destination accepted in its place; 0 = of an earlier version, not known",
    ),
    Column("refused_properties", Text, comment="Their ids (JSON), where the rest was sent; NULL = the whole call"),
    Index("ix_untaken_calls_user_id", "user_id"),
    comment="Calls of a request that the destination did not take (append-only)",
    sqlite_with_rowid=False,
)

#: Only open refusals. The public view `refusals` has past ones too.
refusals = Table(
    "open_refusals",
    metadata,
    Column("destination_id", ForeignKey("destinations.id"), primary_key=True, comment="Who refuses it"),
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("run_id", ForeignKey("runs.id"), nullable=False, comment="The run that was refused last"),
    Column("reason", Text, nullable=False, comment="Why, without secrets and user properties"),
    Column("http_status", Integer, comment="The status, where there was one"),
    Column("attempts", Integer, nullable=False, comment="How often it was tried"),
    Column("refused_at", UtcDateTime, nullable=False, comment="When it was refused last (UTC)"),
    comment="Calls a destination refuses, until it takes them",
    sqlite_with_rowid=False,
)

refused_values = Table(
    "refused_values",
    metadata,
    Column("destination_id", ForeignKey("destinations.id"), primary_key=True, comment="Who refused it"),
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience or computed trait"),
    Column("value", Text, comment="JSON; NULL = gone"),
    Column("run_id", Integer, nullable=False, comment="The run that made the change"),
    comment="What a refused call carried, owed with the newest values",
    sqlite_with_rowid=False,
)
