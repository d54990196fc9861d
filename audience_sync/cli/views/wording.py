"""Word the answers of approve, undo, retire and seed: what the command has done, instead of what a run does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audience_sync.cli.base.layout import INDENT, Screen, advice, labelled, prose
from audience_sync.cli.base.output import screen
from audience_sync.cli.views.headline import counts_text, held_text
from audience_sync.cli.views.holds import change_text
from audience_sync.cli.views.summary import Wording
from audience_sync.model import AudienceStatus, ChangeCounts, HoldKind
from audience_sync.project.decisions import Rejection
from audience_sync.project.run_details import Details
from audience_sync.project.values import Run
from audience_sync.store.audiences.holds import Hold
from audience_sync.sync.guard.messages import changes, effect
from audience_sync.sync.values.findings import AudienceResult
from audience_sync.sync.values.report import Report
from audience_sync.text import join_names, pluralize, seconds_text

#: The rate in the next command if none was given.
DEFAULT_RATE = "500/s"
_ONLY_CHANGES = "From now on `sync` sends only who enters or leaves."


def approve_wording(made: Run, *, run: int) -> Wording:
    report, details, holds = made.report, made.details, made.approved
    again = {key: held for held in details.held for key in held.keys}
    if all(hold.key in again for hold in holds):
        pairs = _differences(holds, {hold.key: again[hold.key].counts for hold in holds})
        lines = [*labelled(pairs, screen()), *prose("The change is held again.", screen(), indent=INDENT)]
        return Wording(f"Nothing was approved: the source has changed since run {run}.", under=lines, after=())
    if again:
        return Wording()
    undo = [] if screen().width is None else advice("To undo it:", f"audience-sync undo {report.run}", screen=screen())
    return Wording(f"Run {report.run} approved what run {run} held: {counts_text(report)}.", after=undo)


def rejection_lines(found: Rejection, screen: Screen) -> list[str]:
    """What was dropped, and what the next run does."""
    names = {HoldKind.SUPPRESSED: "the lists of suppressed users", HoldKind.MAPPING: "the mapping of {}"}
    rejected = [
        f"Rejected for {names.get(each.kind, '{}').format(each.key)}: {changes(each.kind, each.counts)}."
        for each in found.rejected
    ]
    where = "config" if all(each.kind is HoldKind.MAPPING for each in found.rejected) else "source"
    same = f"Nothing was changed or sent. If the {where} is still the same, the next run holds it again."
    return [line for text in (*rejected, same) for line in prose(text, screen)]


def _differences(holds: Sequence[Hold], now: Mapping[str, ChangeCounts]) -> list[tuple[str, str]]:
    """The held change and the present one, as labels and texts; several holds are labelled by key."""
    texts = [(hold.key, effect(hold.kind, hold.counts), effect(hold.kind, now[hold.key])) for hold in holds]
    named = [(key, then, f"{after}, but for other users" if after == then else after) for key, then, after in texts]
    if len(named) == 1:
        ((_, then, after),) = named
        return [("Then", then), ("Now", after)]
    return [(key, f"then {then}; now {after}") for key, then, after in named]


def undo_wording(made: Run, *, run: int) -> Wording:
    report = made.report
    return Wording(f"Run {report.run} undid run {run} in {seconds_text(report.seconds)}: {counts_text(report)}.")


def retire_wording(made: Run, *, key: str) -> Wording:
    report = made.report
    return Wording(f"Run {report.run} retired {key} in {seconds_text(report.seconds)}: {counts_text(report)}.", ())


def seed_wording(made: Run, *, key: str, no_send: bool = False, rate: str | None = None) -> Wording:
    """How many members a seed has reached, or why it sent nothing; and the next commands."""
    report, details, run = made.report, made.details, made.number
    audience = next((each for each in report.audiences if each.key == key), None)
    if audience is None:
        return Wording()
    if audience.status is AudienceStatus.HELD:
        held = next(each for each in details.held if key in each.keys)
        return Wording(
            f"Run {run} held {key}: {change_text(held.kind, held.counts) or held_text(report)}. Nothing was sent."
        )
    members, took = pluralize(audience.after, "member"), f"in {seconds_text(report.seconds)}"
    if no_send:
        return Wording(f"Run {run} recorded {members} of {key} without sending.", prose(_ONLY_CHANGES, screen()))
    if not any(each.calls for each in report.destinations):
        return Wording(f"Run {run}: {_nothing_sent(report, details, audience)} Nothing was sent.")
    if any(each.error or each.refused for each in report.destinations):
        return Wording(addresses=False)
    if pending := max(each.pending for each in report.destinations):
        return _partial_wording(report, audience, pending=pending, took=took, rate=rate)
    where = pluralize(len(report.destinations), "destination")
    message = f"Run {run} finished seeding {key} {took}: {members} at {where}."
    return Wording(message, prose(_ONLY_CHANGES, screen()), addresses=False)


def _partial_wording(report: Report, audience: AudienceResult, *, pending: int, took: str, rate: str | None) -> Wording:
    sent = max(each.delivered for each in report.destinations)
    everyone = audience.after - max(each.withheld for each in report.destinations)
    so_far = f", {everyone - pending:,} so far" if everyone - pending > sent else ""
    of_all = f"{sent:,} of {pluralize(everyone, 'member')} of {audience.key}"
    message = f"Run {report.run} seeded {of_all} {took}{so_far}, as limited."
    users = "this user" if sent == 1 else f"these {sent:,} users"
    intro = f"Next: look at {users} in the destinations. Then continue:"
    again = f"audience-sync seed {audience.key} --rate {rate or DEFAULT_RATE}"
    after = [] if screen().width is None else advice(intro, again, screen=screen())
    return Wording(message, after, addresses=False)


def _nothing_sent(report: Report, details: Details, audience: AudienceResult) -> str:
    names = [each.name for each in report.destinations]
    if not audience.after:
        return f"{audience.key} has no members."
    if any(each.withheld for each in report.destinations):
        return f"all users of {audience.key} that are left to send to are suppressed."
    if details.baselines & set(names):
        return f"the members of {audience.key} were recorded without sending; only later changes are sent."
    return f"{audience.key} is already seeded at {join_names(names)}."
