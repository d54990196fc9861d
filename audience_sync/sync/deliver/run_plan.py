"""What a run would commit and send: its changes, each destination's state after it, and the pending calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audience_sync.delivery.pending.pending import DeliveryInputs
from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState
from audience_sync.destinations.base import Destination
from audience_sync.store.runs.clock import RunClock
from audience_sync.sync.deliver.pending import PendingDelivery, pending_for
from audience_sync.sync.detect.suppression_lists import SuppressionUpdate
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.request import RunRequest
from audience_sync.sync.values.stored_state import StoredState
from audience_sync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run found, and the ledgers as the config wants them. Nothing is written yet."""

    run: int
    clock: RunClock
    stored: StoredState
    changes: ChangeSet
    states: Mapping[str, DestinationState]
    destinations: Mapping[str, Destination]
    inputs: DeliveryInputs
    suppressed: SuppressionUpdate

    def pending(
        self, workspace: Workspace, request: RunRequest, states: Mapping[str, DestinationState]
    ) -> list[PendingDelivery]:
        """What each destination is owed: what an ordered seed sends, or everything else."""
        return [
            pending_for(
                workspace,
                self.inputs,
                state,
                self.destinations[name],
                cursor=cursor,
                only_told=only_told,
                retry=request.retries(name),
            )
            for name, state in states.items()
            for cursor, only_told in _feeds(state, request)
        ]


def _feeds(state: DestinationState, request: RunRequest) -> list[tuple[DeliveryCursor, bool]]:
    """An audience that a person is seeding is told further by ``seed`` alone; ``sync`` keeps whom it has
    reached up to date."""
    if (key := request.seeded_key) and key in state.seeds:
        return [(state.seeds[key], False)]
    told = {key for key, each in state.subscriptions.items() if each.ended_run is None}
    reached = [(cursor, True) for key, cursor in state.seeds.items() if cursor.ranges and key in told]
    return [(state.cursor, False), *reached]
