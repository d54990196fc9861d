"""Define the store's tables, with a comment on each column.

The views are the public interface (``docs/database.md``); the tables may change with a migration.
"""

from audience_sync.store.tables.alerts import alerts, missed_alerts
from audience_sync.store.tables.base import metadata
from audience_sync.store.tables.deliveries import (
    delivered_ranges,
    delivery_cursors,
    destinations,
    refusals,
    refused_values,
    rejected_calls,
    requests,
    subscription_history,
    subscriptions,
)
from audience_sync.store.tables.freezes import freezes
from audience_sync.store.tables.holds import held_snapshots, hold_samples
from audience_sync.store.tables.runs import (
    installation,
    lease,
    pruned_history,
    rejections,
    run_audiences,
    run_destinations,
    runs,
)
from audience_sync.store.tables.schedule_slots import schedule_slots
from audience_sync.store.tables.snapshots import (
    absences,
    chains,
    changes,
    held_out,
    members,
    properties,
    segment_parts,
    segments,
)
from audience_sync.store.tables.suppressions import erasures, past_suppressions, suppressions, withheld_values

#: The views, which are the public interface.
VIEWS = (
    *("absent_members", "alerts", "audience_members", "audience_syncs", "deliveries", "freezes", "held_out_members"),
    *("holds", "membership_changes", "refusals", "refused_calls", "rejected_rows", "scheduled_runs", "sync_runs"),
)

__all__ = [
    "VIEWS",
    "absences",
    "alerts",
    "chains",
    "changes",
    "delivered_ranges",
    "delivery_cursors",
    "destinations",
    "erasures",
    "freezes",
    "held_out",
    "held_snapshots",
    "hold_samples",
    "installation",
    "lease",
    "members",
    "metadata",
    "missed_alerts",
    "past_suppressions",
    "properties",
    "pruned_history",
    "refusals",
    "refused_values",
    "rejected_calls",
    "rejections",
    "requests",
    "run_audiences",
    "run_destinations",
    "runs",
    "schedule_slots",
    "segment_parts",
    "segments",
    "subscription_history",
    "subscriptions",
    "suppressions",
    "withheld_values",
]
