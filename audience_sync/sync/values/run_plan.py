"""Define a run's plan: everything it would commit, send and report."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct, field

from audience_sync.delivery.pending.inputs import DeliveryInputs
from audience_sync.delivery.state.cursors import DestinationState
from audience_sync.destinations.base import Destination
from audience_sync.model import RunId
from audience_sync.store.audiences.user_traits import TableStep
from audience_sync.store.runs.clock import RunClock
from audience_sync.sync.values.change_set import ChangeSet, SuppressionUpdate
from audience_sync.sync.values.findings import RunFindings
from audience_sync.sync.values.request import RunRequest


class RunPlan(Struct, frozen=True, kw_only=True):
    """Everything a run would commit, send and report. ``states``: the destination states after the run.

    ``baselines``: by destination, the properties whose first members were recorded without sending. ``trait_values``:
    what the commit does with the table of trait values. ``kept_states``: the audiences and `names_from` entries whose
    last snapshot in a warehouse still counts; None if the store has none. ``has_objects``: whether objects in a bucket
    belong to the store.
    """

    run: RunId
    request: RunRequest
    clock: RunClock
    installation: str
    changes: ChangeSet
    findings: RunFindings
    suppressed: SuppressionUpdate
    destinations: Mapping[str, Destination]
    states: Mapping[str, DestinationState]
    inputs: DeliveryInputs
    baselines: Mapping[str, Collection[str]] = field(default_factory=dict)
    trait_values: TableStep = TableStep.NONE
    kept_states: Collection[str] | None = None
    has_objects: bool = False
