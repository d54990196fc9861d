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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """Everything a run would commit and send. ``states``: the destination states after the run."""

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
        """The pending calls of each destination: those of the seed if the run is one, or else all others."""
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
            for cursor, only_told in _cursors(state, request)
        ]


def _cursors(state: DestinationState, request: RunRequest) -> list[tuple[DeliveryCursor, bool]]:
    """The cursors to send from, and whether only users reached before get calls.

    Only ``seed`` continues a seed by hand; other runs keep the users that it has reached up to date.
    """
    if (key := request.seeded_key) and key in state.seeds:
        return [(state.seeds[key], False)]
    subscribed = {key for key, each in state.subscriptions.items() if each.ended_run is None}
    reached = [(cursor, True) for key, cursor in state.seeds.items() if cursor.ranges and key in subscribed]
    return [(state.cursor, False), *reached]
