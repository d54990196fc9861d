"""Decide what a warehouse compares a snapshot with, and when the last snapshot there no longer counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence

from msgspec.structs import replace

from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig
from audience_sync.config.sections.snapshot import SnapshotConfig
from audience_sync.model import HoldKind, HoldStatus
from audience_sync.sources.base import HAS_INVALID_VALUE, ComparedState, Comparison, IsHeld
from audience_sync.sql import quote_identifier
from audience_sync.store.audiences.holds import read_sample
from audience_sync.store.audiences.properties import Property
from audience_sync.store.audiences.source_states import read_state, read_table_names
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, origin
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.run_context import RunContext
from audience_sync.workspace import Workspace

#: Hexadecimal digits of the installation that its tables begin with: several may share a schema.
INSTALLATION_DIGITS = 8
#: The largest number of users whose rows are read in every run. With more, everything is fetched.
MOST_REREAD = 1_000


def comparison_of(
    context: RunContext,
    config: SnapshotConfig,
    keys: Collection[str],
    known: Sequence[Property | None],
    is_held: IsHeld,
) -> Comparison:
    """What to compare the snapshot of an entry with.

    ``keys`` and ``known``: its audiences or traits, and what is stored of them. A resync compares with nothing, because
    it also mends a state that is damaged. What waits for a decision is not folded: every run would do so again.
    """
    subject = _subject(config, keys)
    kind = HoldKind.COMPUTED_TRAIT if isinstance(config, ComputedTraitsConfig) else HoldKind.AUDIENCE
    last = [hold for key in keys if (hold := context.stored.last_holds.get((kind, key)))]
    undecided = [hold for hold in last if hold.status in (HoldStatus.HELD, HoldStatus.REJECTED)]
    with context.reader.reading() as connection:
        state, in_use = read_state(connection, subject, config.source), read_table_names(connection, config.source)
        samples = [read_sample(connection, hold.id) for hold in undecided]
    return Comparison(
        source=config.source,
        subject=subject,
        mend=_mend(config, keys),
        state=state if _counts(context, keys, known) else (),
        prefix=f"sync_{context.stored.installation.replace('-', '')[:INSTALLATION_DIGITS]}_",
        run=context.recorded_run,
        in_use=in_use,
        is_held=is_held,
        sampled=tuple(user for sample in samples for user in (*sample.entered, *sample.left)),
        may_fold=not undecided,
        counts_rows=config.expect is not None and config.expect.rows is not None,
    )


def _subject(config: SnapshotConfig, keys: Collection[str]) -> str:
    if isinstance(config, ComputedTraitsConfig):
        return _traits_subject(config)
    return origin(config) if isinstance(config, AudienceConfig) and config.names_from else next(iter(keys))


def _traits_subject(config: ComputedTraitsConfig) -> str:
    """What the state of an entry of computed traits is kept by. With other columns or types it is another one.

    The query may change: its rows are compared.
    """
    columns = [[key, trait.column, trait.type] for key, trait in config.columns.items()]
    text = json.dumps([config.source, config.user_id, columns])
    return f"computed_traits {hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def _mend(config: SnapshotConfig, keys: Collection[str]) -> str:
    """The command that compares everything; only a resync of all has computed traits."""
    if isinstance(config, ComputedTraitsConfig):
        return "audience-sync resync"
    return f"audience-sync resync {next(iter(keys), '')}".rstrip()


def _counts(context: RunContext, keys: Iterable[str], known: Sequence[Property | None]) -> bool:
    """Whether the last snapshot is that of the stored members or values."""
    return bool(known) and None not in known and not any(map(context.request.resends, keys))


def with_reread(
    context: RunContext, state: ComparedState, *, rows: str, table: str | None, keys: Sequence[str], differing: int
) -> tuple[ComparedState, tuple[str, ...]]:
    """The state with the users whose rows the next run reads; and a warning if they are too many to keep it.

    Their rows count in every run: a value is invalid, or there are several rows that differ. ``rows``: a query for the
    fetched rows. ``table``: one row a user with ``HAS_INVALID_VALUE``, if a value may be invalid. ``differing``: the
    number of users with rows that differ.
    """
    parts = [f"select user_id from {table} where {quote_identifier(HAS_INVALID_VALUE)}"] if table else []
    if differing:
        columns = ", ".join(map(quote_identifier, keys))
        distinct = f"select distinct user_id, {columns} from ({rows}) where user_id is not null"
        parts.append(f"select user_id from ({distinct}) group by user_id having count(*) > 1")
    users = _distinct(context.workspace, parts)
    if len(users) <= MOST_REREAD:
        return replace(state, reread=users), ()
    warning = (
        f"computed traits of {state.source}: more than {MOST_REREAD:,} users have invalid values, or several rows that "
        "differ. So the next run fetches everything. Correct the query: one row a user, with valid values."
    )
    return replace(state, before=(), new=None), (warning,)


def _distinct(workspace: Workspace, parts: Sequence[str]) -> tuple[str, ...]:
    if not parts:
        return ()
    found = f"select distinct user_id from ({' union all '.join(parts)}) limit {MOST_REREAD + 1}"
    return tuple(sorted(user for (user,) in workspace.all(found)))


def states_to_keep(context: RunContext, audiences: Iterable[ResolvedAudience], changes: ChangeSet) -> Collection[str]:
    """The subjects whose last snapshot counts after the run.

    A run without snapshots, such as an undo, has changed members or values without their source.
    """
    settings = context.settings
    single = (each.key for each in audiences if _is_compared(context, each.config))
    several = (origin(each) for each in settings.audiences if each.names_from and _is_compared(context, each))
    traits = {_traits_subject(each): each.columns for each in settings.computed_traits if _is_compared(context, each)}
    kept = {*single, *several, *traits}
    if context.request.reads_sources:
        return kept
    known, changed = context.stored.properties, {key for each in changes.chains for key in each.chain.keys}
    lost = {subject for subject, columns in traits.items() if not changed.isdisjoint(columns)}
    return kept.difference((known[key].subject for key in changed if key in known), lost)


def _is_compared(context: RunContext, config: SnapshotConfig) -> bool:
    source = context.settings.sources.get(config.source)
    return source is not None and source.compares
