"""Name the public views, which are in a schema of their own on PostgreSQL."""

from sqlalchemy import Connection, Engine

VIEW_SCHEMA = "audience_sync"
VIEWS = (
    *("absent_members", "alerts", "audience_members", "audience_syncs", "audiences", "computed_traits", "decisions"),
    *("deliveries", "destinations", "freezes", "held_changes", "held_out_members", "holds", "invalid_rows"),
    *("membership_changes", "pending_calls", "refusals", "refused_calls", "requests", "run_stages", "run_webhooks"),
    *("scheduled_runs", "sync_runs", "trait_changes", "trait_values"),
)


def view_prefix(database: Connection | Engine) -> str:
    """The text before a view's name in a query."""
    return f"{VIEW_SCHEMA}." if database.dialect.name == "postgresql" else ""
