"""What would the next run do? The same look as the run's own, and a forecast; nothing is written or sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from audience_sync.delivery.calls import Calls
from audience_sync.destinations.base import Destination
from audience_sync.model import IdentifyCall
from audience_sync.sync.findings import AudienceFinding, TraitsFinding
from audience_sync.sync.ledger import times_of, timestamp
from audience_sync.sync.look import Outlook, look
from audience_sync.sync.order import Order, Parts, Watch
from audience_sync.sync.outlook import Owed
from audience_sync.sync.report import audience_json, found_report, traits_json
from audience_sync.workspace import Workspace

#: Calls shown of each destination.
SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one destination would be sent: identify calls, about so many requests, and the time they take.

    ``seconds`` is the time at the configured rate limit; None without one.
    """

    name: str
    address: str
    calls: int
    requests: int
    seconds: float | None
    samples: Sequence[IdentifyCall]


@dataclass(frozen=True, slots=True)
class Plan:
    audiences: Sequence[AudienceFinding]
    traits: TraitsFinding
    forecasts: Sequence[Forecast]
    warnings: Sequence[str]
    errors: Sequence[str]
    held: Sequence[str]
    exit_code: int

    def as_json(self) -> dict[str, Any]:
        return {
            "audiences": [audience_json(each) for each in self.audiences],
            "traits": traits_json(self.traits),
            "destinations": [_forecast_json(each) for each in self.forecasts],
            "warnings": list(self.warnings),
            "errors": list(self.errors),
            "held": list(self.held),
        }


def make_plan(parts: Parts, order: Order, watch: Watch) -> Plan:
    """Look at everything that a run would look at. Raises StoreError and ConfigError."""
    with Workspace(parts.settings.memory_limit) as workspace:
        outlook = look(parts, order, watch, workspace)
        owed = outlook.owed(workspace, order, outlook.ledgers)
        times = _times(parts, workspace, outlook, owed)
        forecasts = [
            _forecast(workspace, outlook, name, [each for each in owed if each.ledger.name == name], times)
            for name in outlook.ledgers
        ]
    findings = outlook.findings
    code = found_report(outlook.run, findings, [], 0).exit_code
    said = (findings.warnings, findings.errors, findings.held)
    return Plan(findings.audiences, findings.traits, forecasts, *said, code)


def _times(parts: Parts, workspace: Workspace, outlook: Outlook, owed: Sequence[Owed]) -> dict[int, str]:
    runs = {run for each in owed for (run,) in workspace.all(f"select distinct run_id from {each.table}")}
    with parts.store.reading() as connection:
        return {outlook.run: timestamp(datetime.now(UTC)), **times_of(connection, sorted(runs))}


def _forecast(
    workspace: Workspace, outlook: Outlook, name: str, shares: Sequence[Owed], times: Mapping[int, str]
) -> Forecast:
    destination = outlook.destinations[name]
    calls = sum(each.calls for each in shares)
    requests = sum(_requests(destination, each.calls) for each in shares)
    rate = destination.options.rate_limit
    found = (call for each in shares for call in Calls(workspace, each.table, outlook.known.installation, name, times))
    samples = list(islice(found, SAMPLES))
    return Forecast(name, destination.address, calls, requests, requests / rate if rate else None, samples)


def _requests(destination: Destination, calls: int) -> int:
    limit = destination.limits.messages
    return math.ceil(calls / min(destination.options.batch_size or limit, limit))


def _forecast_json(forecast: Forecast) -> dict[str, Any]:
    return {
        "name": forecast.name,
        "calls": forecast.calls,
        "requests": forecast.requests,
        "seconds_at_rate_limit": forecast.seconds,
        "samples": [{"user_id": call.user_id, "traits": call.traits} for call in forecast.samples],
    }
