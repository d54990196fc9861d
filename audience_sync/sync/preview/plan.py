"""Preview a run: plan it as the run itself does, and forecast its delivery. Nothing is written or sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from audience_sync.model import AudienceStatus, RunId
from audience_sync.sync.commit.run_record import nonces_of, start_times
from audience_sync.sync.deliver.pending import PendingDelivery
from audience_sync.sync.deliver.run_plan import RunPlan
from audience_sync.sync.detect.workspaces import open_workspace
from audience_sync.sync.plan_run import plan_run
from audience_sync.sync.preview.forecast import Forecast, forecast
from audience_sync.sync.preview.largest_changes import ChangeSize, changes_by_size
from audience_sync.sync.preview.plan_file import PlanFile, changes_of
from audience_sync.sync.preview.value_counts import Sends, count_sends
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.report import audience_json, build_report, left_alone_json, traits_json
from audience_sync.sync.values.request import (
    ProgressListener,
    Retire,
    RunDependencies,
    RunRequest,
    Seed,
    Selection,
    Sync,
    Undo,
)
from audience_sync.text import iso_time
from audience_sync.workspace import Workspace

#: Statuses of an audience that a run would write, also where it has no members.
_NEW = (AudienceStatus.CREATED, AudienceStatus.RETIRED)
#: Invalid rows that a preview lists; all are counted.
MAX_INVALID_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPreview:
    """The preview of a run.

    ``saved``: the request, which may have become a seed, with digests of all changes. ``sends``: by destination, the
    numbers of users by value, if they were requested.
    """

    saved: PlanFile
    findings: ChangeSet
    forecasts: Sequence[Forecast]
    largest: Sequence[ChangeSize]
    sends: Mapping[str, Sequence[Sends]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return build_report(0, self.findings, [], 0).exit_code

    @property
    def command(self) -> str:
        """The command that carries it out; if all of it is held, the command that approves that."""
        return self._approvals[0] if self._approvals and not self.does_something else self._run_command

    @property
    def does_something(self) -> bool:
        """Whether a run would change or send anything."""
        findings, moves = self.findings, self.saved.request.moves
        changed = any(each.entered or each.left or each.status in _NEW for each in findings.audiences)
        return bool(changed or moves or findings.traits.changed or any(each.calls for each in self.forecasts))

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Labels with commands: the one that carries it out, then those that approve held snapshots."""
        done = [("To do this:", self._run_command)] if self.does_something else []
        return done + [("If the held change is right:", command) for command in self._approvals]

    @property
    def saving(self) -> str:
        """The command that writes this plan to a file."""
        return " ".join(["audience-sync", "plan", *_arguments(self.saved.request), "--out", "plan.json"])

    @property
    def _approvals(self) -> list[str]:
        """Commands for held snapshots: approve what a run holds already, accept what would be held."""
        found = [(each.key, each.held) for each in self.findings.audiences if each.held]
        found += self.findings.traits.held
        by_run: dict[int | None, list[str]] = {}
        for key, held in found:
            by_run.setdefault(held.last, []).append(key)
        commands = [f"audience-sync approve {run} {' '.join(keys)}" for run, keys in by_run.items() if run is not None]
        accepted = " ".join(f"--accept {key}" for key in by_run.get(None, ()))
        return [*commands, *([f"{self._run_command} {accepted}"] if accepted else [])]

    @property
    def _run_command(self) -> str:
        match self.saved.request:
            case Undo(undone_run=run):
                return f"audience-sync undo {run}"
            case Seed(key=key):
                return f"audience-sync seed {key}"
            case Retire(key=key):
                return f"audience-sync retire {key}"
            case request:
                return " ".join(["audience-sync", "sync", *_arguments(request)])

    def as_json(self) -> dict[str, Any]:
        found = self.findings
        return {
            "audiences": [audience_json(each) for each in found.audiences],
            "traits": traits_json(found.traits),
            "destinations": [each.as_json() for each in self.forecasts],
            "largest_changes": [each.as_json() for each in self.largest],
            "invalid_rows": [asdict(each) for each in found.invalid_rows[:MAX_INVALID_ROWS]],
            "warnings": list(found.warnings),
            "errors": list(found.errors),
            "held": list(found.held),
            **left_alone_json(found.skipped_users),
            "command": self.command,
        }


def _arguments(request: RunRequest) -> list[str]:
    """The arguments with which `plan` and `sync` make the same request."""
    exceptions = request.exceptions
    accepted = [argument for key in exceptions.accepted for argument in ("--accept", key)]
    moved = [argument for old, new in request.moves.items() for argument in ("--move-key", f"{old}={new}")]
    clock = ["--accept-clock"] if exceptions.accept_clock else []
    return [*(request.selection.audiences or ()), *accepted, *moved, *clock]


def preview_run(
    dependencies: RunDependencies, request: RunRequest, progress: ProgressListener, *, counts_sends: bool = False
) -> RunPreview:
    """Plan a run without writing. Raises StoreError and ConfigError."""
    now = datetime.now(UTC)

    def make_plan(dependencies: RunDependencies, workspace: Workspace) -> tuple[RunRequest, RunPlan]:
        plan = plan_run(dependencies, request, progress, workspace, now)
        seeding = _as_seed(request, plan)
        if seeding is None:
            return request, plan
        return seeding, plan_run(dependencies, seeding, progress, workspace, now)

    with open_workspace(dependencies, make_plan) as (workspace, (request, plan)):
        pending = plan.pending(workspace, request, plan.states)
        return RunPreview(
            saved=PlanFile(request, changes_of(workspace, plan, pending), now),
            findings=plan.changes,
            forecasts=_forecasts(dependencies, workspace, request, plan, pending),
            largest=changes_by_size(workspace, plan.changes),
            sends=count_sends(workspace, pending) if counts_sends else {},
        )


def _as_seed(request: RunRequest, plan: RunPlan) -> Seed | None:
    """The same request as a seed, if its only audience waits for its first seed or for the rest of one."""
    match request:
        case Sync(selection=Selection(audiences=[key])):
            waits = any(each.key == key and each.status is AudienceStatus.WAITING for each in plan.changes.audiences)
            if waits or any(key in state.seeds for state in plan.states.values()):
                return Seed(
                    command=request.command,
                    key=key,
                    exceptions=request.exceptions,
                    limits=request.limits,
                    moves=request.moves,
                )
    return None


def _forecasts(
    dependencies: RunDependencies,
    workspace: Workspace,
    request: RunRequest,
    plan: RunPlan,
    pending: Sequence[PendingDelivery],
) -> list[Forecast]:
    runs = {run for each in pending for (run,) in workspace.all(f"select distinct run_id from {each.table}")}
    with dependencies.store.reading() as connection:
        times = {RunId(plan.run): iso_time(datetime.now(UTC)), **start_times(connection, sorted(runs))}
        nonces = nonces_of(connection, sorted(runs))
    return [
        forecast(
            workspace,
            plan.destinations[name],
            name,
            plan.stored.installation,
            [each for each in pending if each.state.name == name],
            times,
            nonces,
            rate=request.limits.users_per_second,
            most=request.limits.calls,
        )
        for name in plan.states
    ]
