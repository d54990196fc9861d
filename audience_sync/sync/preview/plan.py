"""What would the next run do? The same look as the run's own, and a forecast; nothing is written or sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from audience_sync.model import AudienceStatus
from audience_sync.sync.commit.run_record import nonces_of, times_of, timestamp
from audience_sync.sync.deliver.pending import Owed
from audience_sync.sync.detect.workspaces import looking
from audience_sync.sync.plan_run import Outlook, look
from audience_sync.sync.preview.forecast import Forecast, forecast
from audience_sync.sync.preview.largest_changes import Change, changes_by_size
from audience_sync.sync.preview.plan_file import SavedPlan, changes_of
from audience_sync.sync.preview.value_counts import Sends, count_sends
from audience_sync.sync.values.change_set import Findings
from audience_sync.sync.values.report import audience_json, found_report, left_alone_json, traits_json
from audience_sync.sync.values.request import Order, Parts, Watch
from audience_sync.workspace import Workspace

#: Statuses of an audience that a run would write, also where it has no members.
_NEW = (AudienceStatus.CREATED, AudienceStatus.RETIRED)
#: Rejected rows that are given with a plan; all are counted.
MOST_REJECTED = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What was found, without having been done. ``saved``: the same to be carried out, with the seed that it turned
    out to be. ``sends``: by destination, how many users would be sent what, if that was asked for."""

    saved: SavedPlan
    findings: Findings
    forecasts: Sequence[Forecast]
    largest: Sequence[Change]
    sends: Mapping[str, Sequence[Sends]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return found_report(0, self.findings, [], 0).exit_code

    @property
    def command(self) -> str:
        """What a person types to have it done; where all that it has is held, what lets that pass."""
        return self._lets_pass[0] if self._lets_pass and not self.does_something else self._does_it

    @property
    def does_something(self) -> bool:
        """Whether a run would change or send anything."""
        findings, moves = self.findings, self.saved.order.moves
        changed = any(each.entered or each.left or each.status in _NEW for each in findings.audiences)
        return bool(changed or moves or findings.traits.changed or any(each.calls for each in self.forecasts))

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Words and the command that does it: what would be done, then what lets a held snapshot pass."""
        done = [("To do this:", self._does_it)] if self.does_something else []
        return done + [("If the held change is right:", command) for command in self._lets_pass]

    @property
    def saving(self) -> str:
        """The same plan, written to a file."""
        order = self.saved.order
        return " ".join(["audience-sync", "plan", *(order.keys or ()), *_lifted(order), "--out", "plan.json"])

    @property
    def _lets_pass(self) -> list[str]:
        """Commands for what would be held: approve what a run holds already, accept what none does yet."""
        found = [(each.key, each.held) for each in self.findings.audiences if each.held]
        found += self.findings.traits.held
        by_run: dict[int | None, list[str]] = {}
        for key, held in found:
            by_run.setdefault(held.last, []).append(key)
        commands = [f"audience-sync approve {run} {' '.join(keys)}" for run, keys in by_run.items() if run is not None]
        accepted = " ".join(f"--accept {key}" for key in by_run.get(None, ()))
        return [*commands, *([f"{self._does_it} {accepted}"] if accepted else [])]

    @property
    def _does_it(self) -> str:
        order = self.saved.order
        if order.undoes is not None:
            return f"audience-sync undo {order.undoes}"
        if order.seed is not None:
            return f"audience-sync seed {order.seed}"
        if order.retire is not None:
            return f"audience-sync retire {order.retire}"
        return " ".join(["audience-sync", "sync", *(order.keys or ()), *_lifted(order)])

    def as_json(self) -> dict[str, Any]:
        found = self.findings
        return {
            "audiences": [audience_json(each) for each in found.audiences],
            "traits": traits_json(found.traits),
            "destinations": [each.as_json() for each in self.forecasts],
            "largest_changes": [each.as_json() for each in self.largest],
            "rejected_rows": [asdict(each) for each in found.rejected[:MOST_REJECTED]],
            "warnings": list(found.warnings),
            "errors": list(found.errors),
            "held": list(found.held),
            **left_alone_json(found.left_alone),
            "command": self.command,
        }


def _lifted(order: Order) -> list[str]:
    accepted = [word for key in order.accept for word in ("--accept", key)]
    moved = [word for old, new in order.moves.items() for word in ("--move-key", f"{old}={new}")]
    return accepted + moved + (["--accept-clock"] if order.accept_clock else [])


def make_plan(parts: Parts, order: Order, watch: Watch, *, counts_sends: bool = False) -> Plan:
    """Look at everything that a run would look at. Raises StoreError and ConfigError."""
    now = datetime.now(UTC)

    def seen(parts: Parts, workspace: Workspace) -> tuple[Order, Outlook]:
        outlook = look(parts, order, watch, workspace, now)
        seed = _seed(order, outlook)
        if seed is None:
            return order, outlook
        seeding = replace(order, seed=seed)
        return seeding, look(parts, seeding, watch, workspace, now)

    with looking(parts, seen) as (workspace, (order, outlook)):
        owed = outlook.owed(workspace, order, outlook.ledgers)
        return Plan(
            SavedPlan(order, changes_of(workspace, outlook, owed), now),
            outlook.findings,
            _forecasts(parts, workspace, order, outlook, owed),
            changes_by_size(workspace, outlook.findings),
            count_sends(workspace, owed) if counts_sends else {},
        )


def _seed(order: Order, outlook: Outlook) -> str | None:
    """The one audience that was asked for, where it is a person who seeds it."""
    if order.keys is None or len(order.keys) != 1:
        return None
    (key,) = order.keys
    waits = any(each.key == key and each.status is AudienceStatus.WAITING for each in outlook.findings.audiences)
    return key if waits or any(key in ledger.seeds for ledger in outlook.ledgers.values()) else None


def _forecasts(
    parts: Parts, workspace: Workspace, order: Order, outlook: Outlook, owed: Sequence[Owed]
) -> list[Forecast]:
    runs = {run for each in owed for (run,) in workspace.all(f"select distinct run_id from {each.table}")}
    with parts.store.reading() as connection:
        times = {outlook.run: timestamp(datetime.now(UTC)), **times_of(connection, sorted(runs))}
        nonces = nonces_of(connection, sorted(runs))
    return [
        forecast(
            workspace,
            outlook.destinations[name],
            name,
            outlook.known.installation,
            [each for each in owed if each.ledger.name == name],
            times,
            nonces,
            rate=order.rate,
            most=order.most,
        )
        for name in outlook.ledgers
    ]
