"""Read what a summary shows in addition to the report: holds with samples, refusals by reason, sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace
from sqlalchemy import Connection, func, select

from audience_sync.delivery.state.cursors import Subscription, read_destination_states
from audience_sync.delivery.state.subscription_history import SubscriptionVersion, first_subscriptions
from audience_sync.model import ChangeCounts, HoldKind
from audience_sync.store.audiences.holds import Hold, Sample, read_holds_of, read_sample
from audience_sync.store.tables import delivery_destinations, open_refusals, runs
from audience_sync.sync.guard.limits import exceeds, removes_everyone
from audience_sync.sync.guard.messages import limit_text, without_subject
from audience_sync.sync.values.findings import AudienceResult, RunFindings, TraitsResult
from audience_sync.sync.values.report import Report
from audience_sync.text import by_reason

if TYPE_CHECKING:
    from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig, Settings
    from audience_sync.config.sections.guard import Guard

#: The most reasons of a destination's refused calls, and users of each; `show` has more.
MAX_REASONS, MAX_USERS = 5, 5


class Held(Struct, frozen=True, kw_only=True):
    """A held change, of one key or of several with the same reason.

    ``limit``: the limit of the guard, if it is the only reason. ``since``: the run that held it first, if that is an
    earlier one. ``run``: the run to approve or reject; None in a plan if no run has held it yet.
    """

    kind: HoldKind
    keys: tuple[str, ...]
    counts: ChangeCounts
    reason: str
    limit: str = ""
    source: str = ""
    sample: Sample = field(default_factory=Sample)
    since: int | None = None
    since_at: datetime | None = None
    run: int | None = None
    undone_run: int | None = None
    before: str = ""


class RefusedFor(Struct, frozen=True):
    """Calls that a destination refused in a run for one reason, with some of the users."""

    reason: str
    calls: int
    users: tuple[str, ...]


class Details(Struct, frozen=True, kw_only=True):
    """What a summary shows in addition to the report.

    ``refused``: by destination, the most frequent reason first. ``sources``: by key, file or query and its source.
    ``source_names``: by key. ``config``: name of the file. ``baselines``: destinations at which an audience of the run
    was recorded without sending.
    """

    held: Sequence[Held] = ()
    refused: Mapping[str, Sequence[RefusedFor]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    source_names: Mapping[str, str] = field(default_factory=dict)
    config: str = "config.yaml"
    baselines: frozenset[str] = frozenset()


def read_details(connection: Connection, settings: Settings, report: Report, config: str) -> Details:
    """Read the details of a run from the store."""
    held = _held_changes(connection, settings, report.audiences, report.traits, report.run, whole_run=bool(report.held))
    refused = {
        each.name: _refused(connection, each.name, report.run) for each in report.destinations if each.still_refused
    }
    keys, first = {each.key for each in report.audiences}, first_subscriptions(connection)
    baselines = frozenset(
        name
        for name, state in read_destination_states(connection, settings.destinations).items()
        if any(_is_baseline(first.get(name, {}).get(key), state.subscriptions.get(key)) for key in keys)
    )
    return replace(_config_details(settings, config), held=held, refused=refused, baselines=baselines)


def preview_details(connection: Connection, settings: Settings, found: RunFindings, config: str) -> Details:
    """The details of a plan, with the samples of stored holds."""
    held = _held_changes(connection, settings, found.audiences, found.traits, None)
    return replace(_config_details(settings, config), held=held)


def _is_baseline(first: SubscriptionVersion | None, now: Subscription | None) -> bool:
    """Whether an audience was recorded without sending, and has neither been seeded nor undone since."""
    return bool(first and first.is_baseline and now and now.since_run == first.subscription.since_run)


def _config_details(settings: Settings, config: str) -> Details:
    """The details that come from the config."""
    configs = _configs(settings)
    sources = {key: _source(each) for key, each in configs.items()}
    return Details(sources=sources, source_names={key: each.source for key, each in configs.items()}, config=config)


def _source(config: AudienceConfig | ComputedTraitsConfig) -> str:
    return f"{config.file or 'query'} of {config.source}"


def _held_changes(
    connection: Connection,
    settings: Settings,
    audiences: Sequence[AudienceResult],
    traits: TraitsResult,
    run: int | None,
    *,
    whole_run: bool = False,
) -> list[Held]:
    """The holds, grouped by reason.

    ``run``: the run that made them; None in a plan. ``whole_run``: include the lists of suppressed users and the
    mappings of destinations.
    """
    found = {each.key: (HoldKind.AUDIENCE, each.held) for each in audiences if each.held}
    found |= {key: (HoldKind.COMPUTED_TRAIT, held) for key, held in traits.held}
    since = {held.since for _, held in found.values() if held.since is not None} | ({run} if run else set())
    stored = {hold.subject: hold for each in sorted(since) for hold in read_holds_of(connection, each)}
    configs = _configs(settings)
    single = list[Held]()
    for key, (kind, held) in found.items():
        hold = stored.get((kind, key)) if held.since is not None else None
        config = configs.get(key)
        reason = without_subject(hold.reason if hold else held.message.partition(". ")[0])
        own = config is not None and not (hold and (hold.together or hold.undone_run)) and "together" not in reason
        limit = _limit(kind, held.counts, settings.guard_of(config)) if config is not None and own else ""
        one = Held(
            kind=kind,
            keys=(key,),
            counts=held.counts,
            reason=reason,
            limit=limit,
            source="" if config is None else _source(config),
            before=held.before,
        )
        single.append(_with_stored(one, connection, hold, run))
    for hold in stored.values():
        if whole_run and hold.kind in (HoldKind.SUPPRESSED, HoldKind.MAPPING):
            one = Held(kind=hold.kind, keys=(hold.key,), counts=hold.counts, reason=without_subject(hold.reason))
            single.append(_with_stored(one, connection, hold, run))
    return list(_grouped(single))


def _configs(settings: Settings) -> Mapping[str, AudienceConfig | ComputedTraitsConfig]:
    traits = {key: entry for entry in settings.computed_traits for key in entry.columns}
    return {**traits, **{each.property_key: each for each in settings.audiences if each.property_key}}


def _with_stored(held: Held, connection: Connection, hold: Hold | None, run: int | None) -> Held:
    """Add what the store has of a hold: its sample, its first run, and the run to approve or reject."""
    if hold is None:
        return replace(held, run=run)
    sample = read_sample(connection, hold.id)
    held = replace(held, sample=sample, run=run or hold.last_run, undone_run=hold.undone_run)
    if hold.first_run == run:
        return held
    started = select(runs.c.started_at).where(runs.c.id == hold.first_run)
    return replace(held, since=hold.first_run, since_at=connection.execute(started).scalar())


def _limit(kind: HoldKind, counts: ChangeCounts, guard: Guard) -> str:
    """The limit of the guard that the counts exceed; empty if they don't."""
    if removes_everyone(counts):
        return ""
    if exceeds(counts.left, counts.before, guard.max_removed, guard.at_least):
        return limit_text(kind, guard.max_removed, removed=True)
    if kind is HoldKind.AUDIENCE and exceeds(counts.entered, counts.before, guard.max_added, guard.at_least):
        return limit_text(kind, guard.max_added, removed=False)
    return ""


def _grouped(found: Sequence[Held]) -> Iterator[Held]:
    """Group holds of one kind, reason and run, except those with a limit of their own."""
    groups: dict[object, list[Held]] = {}
    for each in found:
        alone = each.limit or (each.kind is HoldKind.AUDIENCE and removes_everyone(each.counts))
        source = each.source if each.kind is HoldKind.COMPUTED_TRAIT else None
        same = each.keys if alone else (each.kind, each.reason, each.since, source)
        groups.setdefault(same, []).append(each)
    for group in groups.values():
        yield replace(group[0], keys=tuple(key for each in group for key in each.keys))


def _refused(connection: Connection, name: str, run: int) -> list[RefusedFor]:
    mine = (delivery_destinations.c.name == name) & (open_refusals.c.run_id == run)
    joined = open_refusals.join(delivery_destinations)
    query = select(open_refusals.c.reason, func.count()).select_from(joined).where(mine)
    counts = {reason: int(count) for reason, count in connection.execute(query.group_by(open_refusals.c.reason))}
    groups = by_reason(sorted(counts)).items()
    found = [
        RefusedFor(shared, sum(counts[each] for each in reasons), _users(connection, name, run, reasons[:MAX_USERS]))
        for shared, reasons in groups
    ]
    return sorted(found, key=lambda each: (-each.calls, each.reason))


def _users(connection: Connection, name: str, run: int, reasons: Sequence[str]) -> tuple[str, ...]:
    mine = (delivery_destinations.c.name == name) & (open_refusals.c.run_id == run)
    mine &= open_refusals.c.reason.in_(reasons)
    query = select(open_refusals.c.user_id).select_from(open_refusals.join(delivery_destinations)).where(mine)
    return tuple(connection.execute(query.order_by(open_refusals.c.user_id).limit(MAX_USERS)).scalars())
