"""What does the store keep? Every table, with what each column means.

People are promised the views (``docs/database.md``); these tables may change with a migration.
"""

from audience_sync.store.tables.base import metadata
from audience_sync.store.tables.holds import held_snapshots, hold_samples
from audience_sync.store.tables.ledger import (
    destinations,
    feeds,
    refusals,
    refused_values,
    requests,
    subscriptions,
    told_ranges,
)
from audience_sync.store.tables.runs import installation, lease, rejections, run_audiences, run_destinations, runs
from audience_sync.store.tables.snapshots import chains, changes, members, properties, segment_parts, segments
from audience_sync.store.tables.suppressions import erasures, suppressions, withheld_values

__all__ = [
    "chains",
    "changes",
    "destinations",
    "erasures",
    "feeds",
    "held_snapshots",
    "hold_samples",
    "installation",
    "lease",
    "members",
    "metadata",
    "properties",
    "refusals",
    "refused_values",
    "rejections",
    "requests",
    "run_audiences",
    "run_destinations",
    "runs",
    "segment_parts",
    "segments",
    "subscriptions",
    "suppressions",
    "told_ranges",
    "withheld_values",
]
