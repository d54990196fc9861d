"""Define the store's tables, with a comment on each column.

The views are the public interface (``docs/database.md``); the tables may change with a migration.
"""

# ruff: noqa: F401 - other modules import the tables from here

from audience_sync.store.tables.alerts import alert_log, missed_notifications
from audience_sync.store.tables.decisions import decision_log
from audience_sync.store.tables.deliveries import (
    delivered_ranges,
    delivery_cursors,
    delivery_destinations,
    delivery_requests,
    open_refusals,
    refused_values,
    request_attempts,
    subscription_history,
    subscriptions,
    unaccepted_calls,
)
from audience_sync.store.tables.holds import audience_freezes, held_snapshots, hold_samples
from audience_sync.store.tables.runs import (
    installation,
    lease,
    pruned_history,
    run_audiences,
    run_destinations,
    run_invalid_rows,
    run_requests,
    run_webhook_log,
    runs,
    schedule_slots,
    stage_log,
)
from audience_sync.store.tables.snapshots import (
    absences,
    changes,
    claimed_users,
    held_out_users,
    members,
    properties,
    snapshot_chains,
    snapshot_file_chunks,
    snapshot_files,
    source_states,
    user_traits,
)
from audience_sync.store.tables.suppressions import erasures, past_suppressions, suppressions, withheld_values
from audience_sync.store.tables.types import metadata
from audience_sync.store.tables.views import VIEWS, view_prefix
