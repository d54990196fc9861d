"""Save a plan as counts and digests of all changes, without user ids, and compare a run with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import xor
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from audience_sync.delivery.mapping import mapping_of
from audience_sync.errors import PlanError
from audience_sync.model import AudienceStatus
from audience_sync.sql import quote_literal
from audience_sync.sync.deliver.pending import PendingDelivery, pending_deliveries
from audience_sync.sync.values.change_set import ChainChange
from audience_sync.sync.values.findings import AudienceResult
from audience_sync.sync.values.request import GuardExceptions, RunRequest, Seed, Selection, Sync
from audience_sync.sync.values.run_plan import RunPlan
from audience_sync.text import and_more, pluralize
from audience_sync.workspace import Workspace

FORMAT = 1
#: Differences that a message lists.
MOST = 10
_MAPPING = "mapping of "
#: Statuses that are not shown.
_USUAL = (AudienceStatus.SYNCED, AudienceStatus.UNCHANGED)


class PlanEntry(Struct, frozen=True):
    """Some of the changes: a text for people, and a digest of all rows."""

    what: str
    digest: str


class PlanFile(Struct, frozen=True):
    """A saved plan. ``changes``: all changes of the request, by audience, list or destination."""

    request: RunRequest
    changes: Mapping[str, PlanEntry]
    made_at: datetime

    @property
    def _plan_command(self) -> str:
        """The command that makes this plan again; `undo` and `retire` make their own."""
        return "plan" if self.request.command in ("plan", "sync", "seed") else self.request.command

    def text(self) -> str:
        asked = {
            "keys": self.request.selection.audiences,
            "accept": self.request.exceptions.accepted,
            "seed": self.request.seeded_key,
            "moves": self.request.moves,
            "accept_clock": self.request.exceptions.accept_clock,
        }
        changes = {of: asdict(part) for of, part in self.changes.items()}
        document = {"format": FORMAT, "made_at": self.made_at.isoformat(), **asked, "changes": changes}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def refuse_other(self, workspace: Workspace, plan: RunPlan) -> None:
        """Raise PlanError with the differences if the run's plan is not this one."""
        pending = pending_deliveries(workspace, plan)
        now = changes_of(workspace, plan, pending)
        for each in pending:
            if not each.slices:
                workspace.run(f"drop table {each.table}")
        found = list(_differences(self.changes, now))
        if found:
            lines = "".join(f"\n  {text}" for text in [*found[:MOST], *and_more(len(found) - MOST, "... ")])
            raise PlanError(
                f"The plan of {self.made_at:%Y-%m-%d %H:%M:%S} UTC is not what a run would do now. Nothing was changed "
                f"or sent. Look again: audience-sync {self._plan_command}{lines}"
            )


def saved_plan(text: str) -> PlanFile:
    """Read a plan from the text of its file. Raises PlanError for another format."""
    try:
        document: dict[str, Any] = json.loads(text)
        if document["format"] != FORMAT:
            raise PlanError(f"it is of format {document['format']}, this version reads format {FORMAT}. Make a new one")
        seed, keys, moves = document["seed"], document["keys"], dict(document.get("moves", {}))
        accept_clock = bool(document.get("accept_clock", False))
        exceptions = GuardExceptions(accepted=tuple(document["accept"]), accept_clock=accept_clock)
        request = (
            Seed(key=seed, exceptions=exceptions, moves=moves)
            if seed
            else Sync(selection=Selection(audiences=keys and tuple(keys)), exceptions=exceptions, moves=moves)
        )
        changes = {of: PlanEntry(**part) for of, part in document["changes"].items()}
        return PlanFile(request, changes, datetime.fromisoformat(document["made_at"]).astimezone(UTC))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PlanError("it is not a plan. Make one: audience-sync plan --out FILE") from None


def other_changes(before: PlanFile, after: PlanFile) -> list[str]:
    """What a plan has otherwise than one that another version may have saved: its texts may differ, not its digests."""
    found = list[str]()
    for of in sorted(before.changes.keys() | after.changes.keys()):
        old, new = before.changes.get(of), after.changes.get(of)
        if old is None and of.startswith(_MAPPING):  # older versions save none
            continue
        if old and new and (old.digest == new.digest if old.digest else old == new):
            continue
        if old and new and old.what == new.what:
            found.append(f"{of}: as many as before ({new.what}), but other users or values")
        else:
            found.append(f"{of}: before {old.what if old else 'nothing'}; after {new.what if new else 'nothing'}")
    return found


def changes_of(workspace: Workspace, plan: RunPlan, pending: Sequence[PendingDelivery]) -> dict[str, PlanEntry]:
    """All changes of a plan, without the number of its run."""
    findings, suppressed = plan.findings, plan.suppressed
    audiences = {each.chain.keys[0]: _rows(each) for each in plan.changes.chains if each.members}
    traits = [_rows(each) for each in plan.changes.chains if not each.members]
    lists = [f"from {suppressed.added}", f"from {suppressed.removed}"]
    added, removed = (workspace.one(f"select count(*) from ({query})")[0] for query in lists)
    parts = {
        f"audience {each.key}": PlanEntry(_what(each), _digest(workspace, *filter(None, [audiences.get(each.key)])))
        for each in findings.audiences
    }
    changed = f"{pluralize(findings.traits.changed, 'user')} with changes"
    parts["computed traits"] = PlanEntry(changed, _digest(workspace, *traits))
    parts["lists of suppressed users"] = PlanEntry(f"{added:,} added, {removed:,} removed", _digest(workspace, *lists))
    for name, state in plan.states.items():
        shares = [each for each in pending if each.state.name == state.name]
        number = pluralize(sum(each.calls for each in shares), "call")
        digest = " ".join(f"{_digest_of_calls(workspace, each):x}" for each in shares)
        parts[f"destination {name}"] = PlanEntry(number, digest)
        parts[f"address of {name}"] = PlanEntry(plan.destinations[name].address, "")
        mapping = mapping_of(plan.destinations[name], state.subscriptions.values())
        parts[f"{_MAPPING}{name}"] = PlanEntry(mapping.text, "")
    return parts


def _what(finding: AudienceResult) -> str:
    counts = finding.held.counts if finding.held else finding
    state = "" if finding.status in _USUAL else f"{finding.status}: "
    return f"{state}{counts.entered:,} entered, {counts.left:,} left"


def _rows(change: ChainChange) -> str:
    if change.log is not None:
        return f"select user_id, key, value from {change.log}"
    if change.members is not None:
        return f"select user_id, present from {change.members}"
    (first,) = change.files
    return f"select * exclude (run_id) from read_parquet({quote_literal(str(first.path))})"


def _digest(workspace: Workspace, *queries: str) -> str:
    """A digest of rows that doesn't depend on their order."""
    return " ".join(f"{_number(workspace, query):x}" for query in queries)


def _digest_of_calls(workspace: Workspace, pending: PendingDelivery) -> int:
    """The same of pending calls, whether they are in slices or not."""
    numbers = (_number(own, f"select user_id, traits from {each.table}") for own, each in pending.tables(workspace))
    return reduce(xor, numbers, 0)


def _number(workspace: Workspace, query: str) -> int:
    found = workspace.one(f"select bit_xor(md5_number(row::varchar)) from ({query}) row")[0]
    return int(found or 0)


def _differences(planned: Mapping[str, PlanEntry], now: Mapping[str, PlanEntry]) -> Iterator[str]:
    for of in sorted(planned.keys() | now.keys()):
        before, after = planned.get(of), now.get(of)
        if before == after:
            continue
        if before and after and before.what == after.what:
            yield f"{of}: as many as planned ({after.what}), but other users or values"
        else:
            values = (part.what if part else "nothing" for part in (before, after))
            yield "{}: planned {}, now {}".format(of, *values)
