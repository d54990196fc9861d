"""Define the tables of deliveries: destinations, subscriptions, cursors, requests, refusals."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text

from audience_sync.store.tables.types import UserIdText, UtcDateTime, metadata

delivery_destinations = Table(
    "delivery_destinations",
    metadata,
    Column("id", Integer, primary_key=True, comment="The destination"),
    Column("name", Text, nullable=False, unique=True, comment="Its name in the config"),
    Column("type", Text, nullable=False, comment="Its type in the config: the service's protocol"),
    Column("created_at", UtcDateTime, nullable=False, comment="When a run first delivered to it (UTC)"),
    comment="Destinations of identify calls",
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("destination_id", ForeignKey("delivery_destinations.id"), primary_key=True, comment="The destination"),
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience or computed trait"),
    Column("since_run", Integer, nullable=False, comment="The run since which the destination receives it"),
    Column("backfill", Boolean, nullable=False, comment="Whether current members are sent too; false = only changes"),
    Column("ended_run", Integer, comment="The run since which the destination no longer receives it"),
    Column("previously_delivered_run", Integer, comment="Everything up to this run was sent when it last ended"),
    Column(
        "sent_as",
        Text,
        comment="How it is sent, if not under its key: JSON with the name, the hash, the id and the former names",
    ),
    comment="The properties that each destination receives",
)

subscription_history = Table(
    "subscription_history",
    metadata,
    Column("destination_id", ForeignKey("delivery_destinations.id"), primary_key=True, comment="The destination"),
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience or computed trait"),
    Column("from_run", Integer, primary_key=True, comment="From this run on, until the next row of both"),
    Column("since_run", Integer, nullable=False, comment="As in subscriptions"),
    Column("backfill", Boolean, nullable=False, comment="As in subscriptions"),
    Column("ended_run", Integer, comment="As in subscriptions"),
    Column("previously_delivered_run", Integer, comment="As in subscriptions"),
    Column("seeding", Boolean, nullable=False, comment="Whether a person was seeding it"),
    Column("sent_as", Text, comment="As in subscriptions"),
    comment="The subscriptions at every run (append-only)",
)

delivery_cursors = Table(
    "delivery_cursors",
    metadata,
    Column("id", Integer, primary_key=True, comment="The cursor"),
    Column(
        "destination_id", ForeignKey("delivery_destinations.id"), nullable=False, index=True, comment="The destination"
    ),
    Column("seeded_property_id", ForeignKey("properties.id"), comment="The audience it seeds; NULL = all others"),
    Column("position", Integer, nullable=False, comment="Everything up to this run has been sent"),
    Column("attempted_run", Integer, comment="Since this run calls may have been sent without an answer"),
    Column("pending_calls", Integer, comment="Calls still to be sent, as the last run counted them; NULL = none"),
    Column("pending_run", Integer, comment="The run that sends them: its answered calls are not pending; NULL = none"),
    Column("pending_since_run", Integer, comment="The run since which some calls are pending"),
    Column("waiting_calls", Integer, comment="Calls that only the next `seed` sends; NULL = all of pending_calls"),
    comment="The position of each delivery",
)

delivered_ranges = Table(
    "delivered_ranges",
    metadata,
    Column("cursor_id", ForeignKey("delivery_cursors.id", ondelete="CASCADE"), primary_key=True, comment="The cursor"),
    Column("after_user", UserIdText, primary_key=True, comment="Users greater than this one ..."),
    Column("through_user", UserIdText, nullable=False, comment="... up to this one ..."),
    Column("run_id", Integer, nullable=False, comment="... have been sent everything up to this run"),
    comment="The users that an unfinished delivery has reached, in user order",
)

delivery_requests = Table(
    "delivery_requests",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, comment="The request"),
    Column("destination_id", ForeignKey("delivery_destinations.id"), nullable=False, comment="The destination"),
    Column("run_id", ForeignKey("runs.id"), nullable=False, comment="The run that sent it"),
    Column("after_user", UserIdText, nullable=False, comment="The calls of the users greater than this one"),
    Column("through_user", UserIdText, nullable=False, comment="... up to this one"),
    Column("calls", Integer, nullable=False, comment="Identify calls in it"),
    Column("refused", Integer, nullable=False, comment="How many of them were refused"),
    Column("attempts", Integer, nullable=False, comment="How often it was sent, parts included"),
    Column("http_status", Integer, comment="The last status, where there is one"),
    Column("answer", Text, comment="What the answer means, without user properties"),
    Column("answered_at", UtcDateTime, nullable=False, comment="When the answer came (UTC)"),
    Column("seeded_property_id", Integer, comment="The audience that it seeded; NULL = all others"),
    Column("position", Integer, comment="All users had been sent everything up to this run before it"),
    Column("attempted_run", Integer, comment="Since this run calls may have been sent without an answer"),
    Column("retried", Boolean, comment="Whether it contained calls that had been refused, unchanged ones too"),
    Column("sent_at", UtcDateTime, comment="When it was sent last (UTC); NULL = not recorded"),
    Column("seconds", Float, comment="How long its last answer took; NULL = not recorded"),
    Index("ix_delivery_requests_run_id", "run_id", "destination_id", "seeded_property_id", "through_user"),
    comment="Requests with a final answer",
)

#: The request is found by its run, destination and range: an attempt is stored before its request is, or without it.
request_attempts = Table(
    "request_attempts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, comment="The attempt"),
    Column("destination_id", ForeignKey("delivery_destinations.id"), nullable=False, comment="The destination"),
    Column("run_id", ForeignKey("runs.id"), nullable=False, comment="The run that sent it"),
    Column("seeded_property_id", Integer, comment="As in delivery_requests"),
    Column("after_user", UserIdText, nullable=False, comment="Its request has the users greater than this one"),
    Column("through_user", UserIdText, nullable=False, comment="... up to this one"),
    Column("attempt", Integer, nullable=False, comment="Counted from 1 in its request, parts included"),
    Column("calls", Integer, nullable=False, comment="Identify calls in it"),
    Column("sent_at", UtcDateTime, nullable=False, comment="When it was sent (UTC)"),
    Column("seconds", Float, nullable=False, comment="How long its answer took, or until there was none"),
    Column("http_status", Integer, comment="The status of the answer; NULL = there was none"),
    Column("answer", Text, comment="What the answer means, without user properties"),
    Index("ix_request_attempts_run_id", "run_id", "destination_id", "seeded_property_id", "through_user"),
    comment="Attempts at requests without a final answer: their calls are sent again (append-only)",
)

unaccepted_calls = Table(
    "unaccepted_calls",
    metadata,
    Column(
        "request_id", ForeignKey("delivery_requests.id", ondelete="CASCADE"), primary_key=True, comment="The request"
    ),
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("reason", Text, comment="Why it was refused; NULL = not sent, because the user had just been suppressed"),
    Column("http_status", Integer, comment="The status, where there was one"),
    Column("accepted_run", Integer, comment="The run whose call was accepted instead; 0 = not recorded"),
    Column("refused_properties", Text, comment="Ids of the refused properties (JSON); NULL = the whole call"),
    Index("ix_unaccepted_calls_user_id", "user_id"),
    comment="Calls of requests that were not accepted: refused, or not sent (append-only)",
    sqlite_with_rowid=False,
)

#: Only open refusals. The public view `refusals` has past ones too.
open_refusals = Table(
    "open_refusals",
    metadata,
    Column("destination_id", ForeignKey("delivery_destinations.id"), primary_key=True, comment="The destination"),
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("run_id", ForeignKey("runs.id"), nullable=False, comment="The run that was refused last"),
    Column("reason", Text, nullable=False, comment="Why, without secrets and user properties"),
    Column("http_status", Integer, comment="The status, where there was one"),
    Column("attempts", Integer, nullable=False, comment="How often it was tried"),
    Column("refused_at", UtcDateTime, nullable=False, comment="When it was refused last (UTC)"),
    comment="Calls that a destination refuses, until it accepts one for the user",
    sqlite_with_rowid=False,
)

refused_values = Table(
    "refused_values",
    metadata,
    Column("destination_id", ForeignKey("delivery_destinations.id"), primary_key=True, comment="The destination"),
    Column("user_id", UserIdText, primary_key=True, comment="The user"),
    Column("property_id", ForeignKey("properties.id"), primary_key=True, comment="The audience or computed trait"),
    Column("value", Text, comment="The value as JSON; NULL = removed"),
    Column("run_id", Integer, nullable=False, comment="The run that made the change"),
    Column("former_names", Text, comment="The names at the destination that end with it, as JSON; NULL = none"),
    comment="Values of refused calls, pending until they are sent with the newest values",
    sqlite_with_rowid=False,
)
