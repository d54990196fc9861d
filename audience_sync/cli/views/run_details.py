"""Read what a summary shows in addition to the run's report: holds with samples, refused calls by reason, sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, func, select

from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig, Settings
from audience_sync.config.sections.guard import Guard
from audience_sync.delivery.state.cursors import Subscription, read_destination_states
from audience_sync.delivery.state.subscription_history import SubscriptionVersion, first_subscriptions
from audience_sync.model import ChangeCounts, HoldKind
from audience_sync.store.audiences.holds import Hold, Sample, read_holds_of, read_sample
from audience_sync.store.tables import destinations, refusals, runs
from audience_sync.sync.guard.limits import exceeds, removes_everyone
from audience_sync.sync.guard.messages import limit_text, without_subject
from audience_sync.sync.values.change_set import AudienceResult, TraitsResult
from audience_sync.sync.values.report import Report

#: Reasons shown of a destination's refused calls, and users of each; `show` has more.
MAX_REASONS, MAX_USERS = 5, 5


@dataclass(frozen=True, slots=True)
class Held:
    """What a guard held, of one key or of several for the same reason.

    ``limit``: what its guard allows, where that alone is the reason. ``since``: the run that held it first, where that
    is an earlier one. ``run``: the run to name when deciding; None in a plan of what no run has held yet.
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


@dataclass(frozen=True, slots=True)
class RefusedFor:
    """Calls that a destination refused in a run for one reason, and some of their users."""

    reason: str
    calls: int
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Details:
    """``sources``: by key, where its snapshot comes from. ``refused``: by destination, the most frequent reason first.
    ``baselines``: destinations at which an audience of the run was recorded without sending."""

    held: Sequence[Held] = ()
    refused: Mapping[str, Sequence[RefusedFor]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    source_names: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    config: str = "config.yaml"
    baselines: frozenset[str] = frozenset()


def read_details(connection: Connection, settings: Settings, report: Report, config: str) -> Details:
    """After the run, from the store."""
    held = held_of(connection, settings, report.audiences, report.traits, report.run, whole_run=bool(report.held))
    refused = {
        each.name: _refused(connection, each.name, report.run) for each in report.destinations if each.still_refused
    }
    keys, first = {each.key for each in report.audiences}, first_subscriptions(connection)
    baselines = frozenset(
        name
        for name, state in read_destination_states(connection, settings.destinations).items()
        if any(_is_baseline(first.get(name, {}).get(key), state.subscriptions.get(key)) for key in keys)
    )
    return replace(details_of(settings, config), held=held, refused=refused, baselines=baselines)


def _is_baseline(first: SubscriptionVersion | None, now: Subscription | None) -> bool:
    """Whether an audience was recorded without sending, and has neither been seeded nor undone since."""
    return bool(first and first.is_baseline and now and now.since_run == first.subscription.since_run)


def details_of(settings: Settings, config: str) -> Details:
    """What the config alone knows."""
    sources, names, places = dict[str, str](), dict[str, str](), dict[str, str]()
    for index, audience in enumerate(settings.audiences):
        key = audience.property_key
        if key is not None:
            sources[key], names[key], places[key] = _source(audience), audience.source, f"audiences[{index}]"
    for index, entry in enumerate(settings.computed_traits):
        for key in entry.columns:
            sources[key], names[key], places[key] = _source(entry), entry.source, f"computed_traits[{index}]"
    return Details(sources=sources, source_names=names, places=places, config=config)


def _source(config: AudienceConfig | ComputedTraitsConfig) -> str:
    return f"{config.file or 'query'} of {config.source}"


def held_of(
    connection: Connection,
    settings: Settings,
    audiences: Sequence[AudienceResult],
    traits: TraitsResult,
    run: int | None,
    *,
    whole_run: bool = False,
) -> list[Held]:
    """What is held, grouped by reason. ``run``: the run that held it; None in a plan. ``whole_run``: the lists of
    suppressed users, too."""
    found = {each.key: (HoldKind.AUDIENCE, each.held) for each in audiences if each.held}
    found |= {key: (HoldKind.COMPUTED_TRAIT, held) for key, held in traits.held}
    since = {held.since for _, held in found.values() if held.since is not None} | ({run} if run else set())
    stored = {hold.subject: hold for each in sorted(since) for hold in read_holds_of(connection, each)}
    configs = _configs(settings)
    single = list[Held]()
    for key, (kind, held) in found.items():
        hold = stored.get((kind, key)) if held.since is not None else None
        config = configs.get(key)
        one = _held(connection, hold, kind, key, held.counts, held.words, config, settings, run)
        single.append(replace(one, before=held.before))
    if whole_run:
        lists = [hold for hold in stored.values() if hold.kind is HoldKind.SUPPRESSED]
        single += [_held(connection, h, h.kind, h.key, h.counts, h.reason, None, settings, run) for h in lists]
    return list(_grouped(single))


def _configs(settings: Settings) -> Mapping[str, AudienceConfig | ComputedTraitsConfig]:
    traits = {key: entry for entry in settings.computed_traits for key in entry.columns}
    return {**traits, **{each.property_key: each for each in settings.audiences if each.property_key}}


def _held(
    connection: Connection,
    hold: Hold | None,
    kind: HoldKind,
    key: str,
    counts: ChangeCounts,
    message: str,
    config: AudienceConfig | ComputedTraitsConfig | None,
    settings: Settings,
    run: int | None,
) -> Held:
    reason = without_subject(hold.reason if hold else _reason(message))
    own = config is not None and not (hold and (hold.together or hold.undone_run)) and "together" not in reason
    limit = _limit(kind, counts, settings.guard_of(config)) if config is not None and own else ""
    earlier = hold is not None and hold.first_run != run
    started = select(runs.c.started_at).where(runs.c.id == hold.first_run) if hold is not None else None
    return Held(
        kind,
        (key,),
        counts,
        reason,
        limit,
        "" if config is None else _source(config),
        read_sample(connection, hold.id) if hold else Sample(),
        hold.first_run if hold and earlier else None,
        connection.execute(started).scalar() if earlier and started is not None else None,
        run or (hold.last_run if hold else None),
        hold.undone_run if hold else None,
    )


def _reason(message: str) -> str:
    """The first sentence of a hold that no run has made yet."""
    return message.partition(". ")[0]


def _limit(kind: HoldKind, counts: ChangeCounts, guard: Guard) -> str:
    """What the guard allows, where the counts exceed it."""
    if removes_everyone(counts):
        return ""
    if exceeds(counts.left, counts.before, guard.max_removed, guard.at_least):
        return limit_text(kind, guard.max_removed, removed=True)
    if kind is HoldKind.AUDIENCE and exceeds(counts.entered, counts.before, guard.max_added, guard.at_least):
        return limit_text(kind, guard.max_added, removed=False)
    return ""


def _grouped(found: Sequence[Held]) -> Iterator[Held]:
    """Those of one kind, reason and run as one, unless the reason is a limit of their own."""
    groups: dict[object, list[Held]] = {}
    for each in found:
        alone = each.limit or (each.kind is HoldKind.AUDIENCE and removes_everyone(each.counts))
        source = each.source if each.kind is HoldKind.COMPUTED_TRAIT else None
        same = each.keys if alone else (each.kind, each.reason, each.since, source)
        groups.setdefault(same, []).append(each)
    for group in groups.values():
        yield replace(group[0], keys=tuple(key for each in group for key in each.keys))


def _refused(connection: Connection, name: str, run: int) -> list[RefusedFor]:
    mine = (destinations.c.name == name) & (refusals.c.run_id == run)
    joined = refusals.join(destinations)
    query = select(refusals.c.reason, func.count()).select_from(joined).where(mine).group_by(refusals.c.reason)
    counts = sorted(connection.execute(query), key=lambda row: (-row[1], row[0]))
    return [RefusedFor(reason, count, _users(connection, name, run, reason)) for reason, count in counts]


def _users(connection: Connection, name: str, run: int, reason: str) -> tuple[str, ...]:
    mine = (destinations.c.name == name) & (refusals.c.run_id == run) & (refusals.c.reason == reason)
    query = select(refusals.c.user_id).select_from(refusals.join(destinations)).where(mine)
    return tuple(connection.execute(query.order_by(refusals.c.user_id).limit(MAX_USERS)).scalars())
