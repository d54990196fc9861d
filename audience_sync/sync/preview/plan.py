"""Preview a run: plan it as the run itself does, and forecast its delivery. Nothing is written or sent."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from audience_sync.command_line import to_paste
from audience_sync.model import AudienceStatus, PropertyKind, RunId
from audience_sync.sql import quote_literal
from audience_sync.store.runs.runs import nonces_of, start_times
from audience_sync.store.snapshots.chain import trait_column
from audience_sync.sync.deliver.pending import PendingDelivery, pending_deliveries
from audience_sync.sync.plan_run import open_workspace, plan_run
from audience_sync.sync.preview.forecast import Forecast, forecast
from audience_sync.sync.preview.plan_file import PlanFile, changes_of
from audience_sync.sync.values.change_set import ChainChange
from audience_sync.sync.values.findings import AudienceResult, RunFindings
from audience_sync.sync.values.report import audience_json, build_report, left_alone_json, mappings_json, traits_json
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
from audience_sync.sync.values.run_plan import RunPlan
from audience_sync.text import iso_time
from audience_sync.tracing import logged_stages
from audience_sync.workspace import Workspace

#: Statuses of an audience that a run would write, also where it has no members.
_NEW = (AudienceStatus.CREATED, AudienceStatus.RETIRED)
#: Invalid rows that a preview lists; all are counted.
MAX_INVALID_ROWS = 100
#: Stands for a value other than true, false and null: each user has their own.
A_VALUE = "a value"
#: The values in the order of a preview.
_WORDS = ("true", "null", "false", A_VALUE)


class ChangeSize(Struct, frozen=True):
    """``users``: the number whose membership or value changes. ``before``: the members before; None on a first creation
    and for a trait."""

    key: str
    kind: PropertyKind
    users: int
    before: int | None = None

    @property
    def share(self) -> float | None:
        """The changed users as a share of the members before; over 1 if an audience more than doubles."""
        return self.users / self.before if self.before else None

    def as_json(self) -> dict[str, Any]:
        share = None if self.share is None else round(self.share, 4)
        return {"key": self.key, "kind": self.kind, "users": self.users, "share": share}


class Sends(Struct, frozen=True):
    """The number of users who would be sent a value: ``true``, ``false``, ``null`` or A_VALUE."""

    key: str
    value: str
    users: int


class RunPreview(Struct, frozen=True, kw_only=True):
    """The preview of a run.

    ``saved``: the request, which may have become a seed, with digests of all changes. ``sends``: by destination, the
    numbers of users by value, if they were requested. ``retired``: the keys that it would retire.
    """

    saved: PlanFile
    findings: RunFindings
    retired: Sequence[str] = ()
    forecasts: Sequence[Forecast]
    largest: Sequence[ChangeSize]
    sends: Mapping[str, Sequence[Sends]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return build_report(RunId(0), self.findings, [], 0).exit_code

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
        found += [(each.destination, each.held) for each in self.findings.mappings if each.held]
        by_run: dict[int | None, list[str]] = {}
        for key, held in found:
            by_run.setdefault(held.last, []).append(key)
        commands = [to_paste("approve", run, *keys) for run, keys in by_run.items() if run is not None]
        accepted = " ".join(f"--accept {shlex.quote(key)}" for key in by_run.get(None, ()))
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
            "warnings": list(found.messages),
            "errors": list(found.errors),
            "held": list(found.held),
            **({"mapping_changes": mappings_json(found.mappings)} if found.mappings else {}),
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

    def make_plan(dependencies: RunDependencies, workspace: Workspace) -> RunPlan:
        plan = plan_run(dependencies, request, progress, workspace, now=now)
        seed = _as_seed(plan)
        return plan if seed is None else plan_run(dependencies, seed, progress, workspace, now=now)

    with logged_stages(), open_workspace(dependencies, make_plan) as (workspace, plan):
        pending = pending_deliveries(workspace, plan)
        return RunPreview(
            saved=PlanFile(plan.request, changes_of(workspace, plan, pending), now),
            findings=plan.findings,
            retired=plan.changes.retired,
            forecasts=_forecasts(dependencies, workspace, plan, pending),
            largest=_changes_by_size(workspace, plan),
            sends=count_sends(workspace, pending) if counts_sends else {},
        )


def _as_seed(plan: RunPlan) -> Seed | None:
    """The same request as a seed, if its only audience waits for its first seed or for the rest of one."""
    request = plan.request
    match request:
        case Sync(selection=Selection(audiences=[key])):
            waits = any(each.key == key and each.status is AudienceStatus.WAITING for each in plan.findings.audiences)
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
    plan: RunPlan,
    pending: Sequence[PendingDelivery],
) -> list[Forecast]:
    runs = {run for each in pending for run in each.sent_runs(workspace, plan.destinations[each.state.name])}
    with dependencies.store.reading() as connection:
        times = {plan.run: iso_time(datetime.now(UTC)), **start_times(connection, sorted(runs))}
        nonces = nonces_of(connection, sorted(runs))
    return [
        forecast(
            workspace,
            plan,
            name,
            [each for each in pending if each.state.name == name],
            times=times,
            nonces=nonces,
        )
        for name in plan.states
    ]


def _changes_by_size(workspace: Workspace, plan: RunPlan) -> list[ChangeSize]:
    """All changes, the largest first."""
    found = [each for each in map(_audience, plan.findings.audiences) if each.users]
    for change in plan.changes.chains:
        if change.chain.kind is PropertyKind.COMPUTED_TRAIT:
            found += [ChangeSize(key, PropertyKind.COMPUTED_TRAIT, users) for key, users in _traits(workspace, change)]
    return sorted(found, key=lambda each: (-each.users, each.key))


def _audience(finding: AudienceResult) -> ChangeSize:
    return ChangeSize(finding.key, PropertyKind.AUDIENCE, finding.entered + finding.left, finding.before or None)


def _traits(workspace: Workspace, change: ChainChange) -> Iterator[tuple[str, int]]:
    if change.log is not None:
        yield from workspace.all(f"select key, count(*) from {change.log} group by key")
        return
    (first,) = change.files
    file = quote_literal(str(first.path))
    for key in change.chain.keys:
        yield key, workspace.one(f"select count({trait_column(key)}) from read_parquet({file})")[0]


def count_sends(workspace: Workspace, pending: Sequence[PendingDelivery]) -> dict[str, list[Sends]]:
    """By destination, in the order of keys and values; the audiences that are seeded by hand are among them."""
    found: dict[str, Counter[tuple[str, str]]] = {}
    for each in pending:
        counts = found.setdefault(each.state.name, Counter())
        for own, calls in each.tables(workspace):
            counts.update(_count(own, calls.table))
    return {
        name: [Sends(*of, users) for of, users in sorted(counts.items(), key=_order)] for name, counts in found.items()
    }


def _order(counted: tuple[tuple[str, str], int]) -> tuple[str, int]:
    (key, word), _ = counted
    return key, _WORDS.index(word)


def _count(workspace: Workspace, table: str) -> dict[tuple[str, str], int]:
    """The numbers of users by key and value. ``table``: it has ``traits``, a JSON object."""
    pairs = f"select unnest(map_entries(traits::json::map(varchar, json)), recursive := true) from {table}"
    word = f"case when value::varchar in ('true', 'false') then value::varchar else '{A_VALUE}' end"
    query = (
        f"select key, case when value is null then 'null' else {word} end as word, count(*) from ({pairs}) "
        "group by key, word"
    )
    return {(key, word): users for key, word, users in workspace.all(query)}
