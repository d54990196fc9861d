"""Move a store with schema 0022, the last before the first release, into the tables of schema 0100.

The tables of 0022 are set aside, the new ones are created, the rows are copied, and the old tables are dropped: all in
the transaction of the migration. Only names differ, so that a store continues where it was.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

REVISION = "0022"
#: The views of 0022, each after those that it reads from the end.
VIEWS = (
    *("deliveries", "sync_runs", "audience_syncs", "audience_members", "membership_changes", "rejected_rows", "holds"),
    *("freezes", "absent_members", "held_out_members", "alerts", "scheduled_runs", "refused_calls", "refusals"),
)
#: Views with other names now, and the rows of a view that must be the same: of a run that was killed, today's views
#: have the last activity.
RENAMED_VIEWS = {"rejected_rows": "invalid_rows"}
_ENDED = "not exists (select 1 from runs r where r.status = 'running' and r.id = run)"
SAME_ROWS = {"sync_runs": _ENDED, "deliveries": _ENDED}
#: The table of 0022 for each new table; a row's parent is in an earlier table.
TABLES = {
    "installation": "installation",
    "lease": "lease",
    "runs": "runs",
    "snapshot_chains": "chains",
    "snapshot_files": "segments",
    "snapshot_file_chunks": "segment_parts",
    "properties": "properties",
    "changes": "changes",
    "members": "members",
    "absences": "absences",
    "held_out_users": "held_out",
    "run_audiences": "run_audiences",
    "run_invalid_rows": "rejections",
    "pruned_history": "pruned_history",
    "schedule_slots": "schedule_slots",
    "audience_freezes": "audience_freezes",
    "held_snapshots": "held_snapshots",
    "hold_samples": "hold_samples",
    "delivery_destinations": "destinations",
    "run_destinations": "run_destinations",
    "subscriptions": "subscriptions",
    "subscription_history": "subscription_terms",
    "delivery_cursors": "feeds",
    "delivered_ranges": "told_ranges",
    "delivery_requests": "requests",
    "unaccepted_calls": "untaken_calls",
    "open_refusals": "open_refusals",
    "refused_values": "refused_values",
    "suppressions": "suppressions",
    "past_suppressions": "past_suppressions",
    "withheld_values": "withheld_values",
    "erasures": "erasures",
    "alert_log": "alert_log",
    "missed_notifications": "missed_alerts",
}
#: A table that is new gets the rights of other roles on the table that it belongs to.
NEW_TABLES = {
    "members": ("user_traits",),
    "snapshot_files": ("source_states",),
    "held_out_users": ("claimed_users",),
    "run_audiences": ("stage_log", "run_webhook_log", "run_requests"),
    "held_snapshots": ("decision_log",),
    "delivery_requests": ("request_attempts",),
}
_SUBSCRIPTION = {"backfill": "tell_everyone", "previously_delivered_run": "told_before", "sent_as": "null"}
_VALUES = {"former_names": "null"}
#: The next run counts the pending calls.
_PENDING = dict.fromkeys(("pending_calls", "pending_run", "pending_since_run", "waiting_calls"), "null")
#: By new table: the SQL of a column that had another name or other values, or did not exist.
COLUMNS = {
    "installation": {"trait_values_table": "null", "state_folders": "null"},
    "runs": dict.fromkeys(
        ("inputs", "covers_all", "started_by", "host", "entries", "entries_loaded", "active_at"), "null"
    ),
    "run_audiences": dict.fromkeys(("name", "source", "config_changes"), "null"),
    "snapshot_chains": {"user_count": "users"},
    "snapshot_files": {"object_url": "null"},
    "snapshot_file_chunks": {"file_id": "segment_id", "content": "body"},
    "properties": {"fingerprint": "mark", "source": "null", "guard": "null", "claims": "null"},
    "changes": {"previous_value": "before"},
    "pruned_history": {"history": "replace(history, 'rejected_rows', 'invalid_rows')"},
    "subscriptions": _SUBSCRIPTION,
    "subscription_history": _SUBSCRIPTION,
    "refused_values": _VALUES,
    "withheld_values": _VALUES,
    "delivery_cursors": {"seeded_property_id": "seeding_id", **_PENDING},
    "delivered_ranges": {"cursor_id": "feed_id"},
    "delivery_requests": {"seeded_property_id": "seeding_id", "sent_at": "null", "seconds": "null"},
    "alert_log": {
        "message": "words",
        "started_run": "began_run",
        "started_at": "began_at",
        "notified_at": "told_at",
        "end_notified_at": "end_told_at",
    },
    "missed_notifications": {"is_end": "is_over", "recipient_number": "place"},
}
#: Where the old tables are meanwhile: in a schema on PostgreSQL, under names with a prefix on SQLite.
SCHEMA, PREFIX = "audience_sync_0022", "schema_0022_"
_INDEXES = text("select name, tbl_name from sqlite_master where type = 'index' and sql is not null")
#: The rights of other roles on what is set aside.
_GRANTS = text(
    "select c.relkind, c.relname, a.privilege_type, "
    "case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end "
    "from pg_class c, aclexplode(c.relacl) a "
    f"where c.relnamespace = '{SCHEMA}'::regnamespace and a.grantee <> c.relowner"
)


def set_aside(connection: Connection) -> None:
    """Set the tables aside if the store has schema 0022. Then it has no schema, as a new one."""
    has_revision = inspect(connection).has_table("alembic_version")
    if not has_revision or connection.execute(text("select version_num from alembic_version")).scalar() != REVISION:
        return
    if connection.dialect.name == "postgresql":
        _execute(connection, f"create schema {SCHEMA}")
        _execute(connection, *(f"alter view {view} set schema {SCHEMA}" for view in VIEWS))
        _execute(connection, *(f"alter table {table} set schema {SCHEMA}" for table in TABLES.values()))
    else:
        _execute(connection, *(f"drop view {view}" for view in VIEWS))
        indexes = connection.execute(_INDEXES).all()
        _execute(connection, *(f"drop index {name}" for name, table in indexes if table in TABLES.values()))
        # Else a rename would fail at a view of another program, or change it.
        _execute(connection, "pragma legacy_alter_table = on")
        _execute(connection, *(f"alter table {table} rename to {PREFIX}{table}" for table in TABLES.values()))
        _execute(connection, "pragma legacy_alter_table = off")
    _execute(connection, "drop table alembic_version")


def copy_rows(connection: Connection) -> None:
    """Copy the rows and rights of what is set aside into the new tables and views, and drop the old ones."""
    is_postgresql = connection.dialect.name == "postgresql"
    inspector = inspect(connection)
    if not (inspector.has_schema(SCHEMA) if is_postgresql else inspector.has_table(f"{PREFIX}runs")):
        return
    place = f"{SCHEMA}." if is_postgresql else PREFIX
    for new, old in TABLES.items():
        names = [column["name"] for column in inspector.get_columns(new)]
        # With its table, because SQLite takes an unknown "name" alone for a text.
        values = ", ".join(COLUMNS.get(new, {}).get(name, f'{place}{old}."{name}"') for name in names)
        columns = ", ".join(f'"{name}"' for name in names)
        _execute(connection, f"insert into {new} ({columns}) select {values} from {place}{old}")
        if is_postgresql and "id" in names and new not in ("installation", "lease"):
            highest = f"(select coalesce(max(id), 0) + 1 from {new})"
            _execute(connection, f"select setval(pg_get_serial_sequence('{new}', 'id'), {highest}, false)")
    if is_postgresql:
        _copy_grants(connection)
        _execute(connection, *(f"drop view {place}{view}" for view in reversed(VIEWS)))
    _execute(connection, *(f"drop table {place}{table}" for table in reversed(TABLES.values())))
    if is_postgresql:
        _execute(connection, f"drop schema {SCHEMA}")


def _copy_grants(connection: Connection) -> None:
    names = {old: new for new, old in TABLES.items()} | {"rejected_rows": "invalid_rows"}
    for kind, name, right, role in connection.execute(_GRANTS).all():
        table = name.removesuffix("_id_seq") if kind == "S" else name
        new = names.get(table, table)
        if kind == "v":
            _execute(connection, f"grant usage on schema audience_sync to {role}")
        prefix = {"S": "sequence ", "v": "audience_sync."}.get(kind, "")
        for each in (new, *NEW_TABLES.get(new, ())):
            _execute(connection, f"grant {right} on {prefix}{each}{name.removeprefix(table)} to {role}")


def _execute(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
