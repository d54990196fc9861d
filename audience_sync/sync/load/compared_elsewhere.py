"""Decide what a warehouse compares an audience's snapshot with, and when the last snapshot there no longer counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from audience_sync.config.models import AudienceConfig
from audience_sync.model import HoldKind, HoldStatus
from audience_sync.sources.base import Comparison, IsHeld
from audience_sync.store.audiences.holds import read_sample
from audience_sync.store.audiences.properties import Property
from audience_sync.store.audiences.source_states import read_state, read_table_names
from audience_sync.sync.load.resolve_audiences import ResolvedAudience, origin
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.run_context import RunContext

#: Hexadecimal digits of the installation that its tables begin with: several may share a schema.
INSTALLATION_DIGITS = 8


def comparison_of(
    context: RunContext,
    config: AudienceConfig,
    keys: Collection[str],
    known: Sequence[Property | None],
    is_held: IsHeld,
) -> Comparison:
    """What to compare the snapshot of an entry with. ``keys`` and ``known``: its audiences, and what is stored of them.

    A resync compares with nothing, because it also mends a state that is damaged. What waits for a decision is not
    folded: every run would do so again.
    """
    subject = origin(config) if config.names_from else next(iter(keys))
    last = [hold for key in keys if (hold := context.stored.last_holds.get((HoldKind.AUDIENCE, key)))]
    undecided = [hold for hold in last if hold.status in (HoldStatus.HELD, HoldStatus.REJECTED)]
    with context.reader.reading() as connection:
        state, in_use = read_state(connection, subject, config.source), read_table_names(connection, config.source)
        samples = [read_sample(connection, hold.id) for hold in undecided]
    return Comparison(
        source=config.source,
        mend=f"audience-sync resync {next(iter(keys), '')}".rstrip(),
        state=state if _counts(context, keys, known) else (),
        prefix=f"sync_{context.stored.installation.replace('-', '')[:INSTALLATION_DIGITS]}_",
        run=context.recorded_run,
        in_use=in_use,
        is_held=is_held,
        sampled=tuple(user for sample in samples for user in (*sample.entered, *sample.left)),
        may_fold=not undecided,
    )


def _counts(context: RunContext, keys: Iterable[str], known: Sequence[Property | None]) -> bool:
    """Whether the last snapshot is that of the stored members."""
    return bool(known) and None not in known and not any(map(context.request.resends, keys))


def states_to_keep(context: RunContext, audiences: Iterable[ResolvedAudience], changes: ChangeSet) -> Collection[str]:
    """The audiences and `names_from` entries whose last snapshot counts after the run.

    A run without snapshots, such as an undo, has changed members without their source.
    """
    single = (each.key for each in audiences if _is_compared(context, each.config))
    several = (origin(each) for each in context.settings.audiences if each.names_from and _is_compared(context, each))
    kept = {*single, *several}
    if context.request.reads_sources:
        return kept
    known, changed = context.stored.properties, (key for each in changes.chains for key in each.chain.keys)
    return kept.difference(known[key].subject for key in changed if key in known)


def _is_compared(context: RunContext, config: AudienceConfig) -> bool:
    source = context.settings.sources.get(config.source)
    return source is not None and source.compares
