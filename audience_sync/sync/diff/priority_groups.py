"""Find the users whom earlier audiences of a priority group claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from audience_sync.config.models import Settings
from audience_sync.config.read.problems import ConfigPath, dotted
from audience_sync.config.validate.priority_groups import audience_positions, repeated_message, unknown_audience_message
from audience_sync.errors import ConfigError, Problem
from audience_sync.sql import TableName
from audience_sync.store.audiences.properties import Property
from audience_sync.store.snapshots.chain import current_rows_query
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.change_set import ChangeSet, HeldOut
from audience_sync.sync.values.run_context import RunContext
from audience_sync.sync.values.stored_state import ChainsAfterRun

#: By key, the earlier audiences of its group.
Earlier = Mapping[str, Sequence[ResolvedAudience]]


def grouped(
    settings: Settings, targets: Sequence[ResolvedAudience], stored: Mapping[str, Property]
) -> Sequence[Sequence[ResolvedAudience]]:
    """The audiences of each priority group in order, without retired ones.

    An entry is a name or key of the config, or the stored key of a renamed audience. Raises ConfigError.
    """
    by_config = {id(target.config): target for target in targets}
    called = audience_positions((audience.name, audience.property_key) for audience in settings.audiences)
    by_text = {target.key: target for target in targets} | {
        text: by_config[id(config)]
        for text, position in called.items()
        if id(config := settings.audiences[position]) in by_config
    }
    closed = {text for text in called if text not in by_text} | {key for key, each in stored.items() if each.retired}
    names = [target.name for target in targets]
    groups, problems, first = list[list[ResolvedAudience]](), list[Problem](), dict[str, ConfigPath]()
    for group, texts in settings.priority_groups.items():
        groups.append([])
        for index, text in enumerate(texts):
            path, target = ("priority_groups", group, index), by_text.get(text)
            if target is not None and target.key not in first:
                first[target.key] = path
                groups[-1].append(target)
            elif target is not None:
                problems.append(Problem(dotted(path), repeated_message(text, first[target.key])))
            elif text not in closed:
                problems.append(Problem(dotted(path), unknown_audience_message(text, names)))
    if problems:
        raise ConfigError(problems)
    return groups


def earlier_in_groups(groups: Sequence[Sequence[ResolvedAudience]]) -> Earlier:
    return {target.key: group[:position] for group in groups for position, target in enumerate(group) if position}


def processing_waves(targets: Sequence[ResolvedAudience], earlier: Earlier) -> Iterator[Sequence[ResolvedAudience]]:
    """The targets in waves, at least one: each comes after all that go before it in its group."""
    waves = {target.key: len(earlier.get(target.key, ())) for target in targets}
    for wave in range(max(waves.values(), default=0) + 1):
        yield [target for target in targets if waves[target.key] == wave]


class Claims(NamedTuple):
    """The earlier audiences of a group, with the ``changes`` of this run so far.

    ``version``: a text that changes if they may claim other users; empty without earlier audiences.
    """

    changes: ChangeSet
    earlier: Sequence[ResolvedAudience]
    version: str


def claims_of(context: RunContext, changes: ChangeSet, earlier: Sequence[ResolvedAudience]) -> Claims:
    version = " ".join(f"{each.key}@{_last_change(context, changes, each)}" for each in earlier)
    return Claims(changes, earlier, version)


def claimed_users(context: RunContext, claims: Claims) -> TableName | None:
    """A view of the members and held-out users (``user_id``) of earlier audiences; None without any.

    They are those after the changes of this run; of held, failed, frozen and unselected audiences those in the store.
    Held-out users are claimed, too, because otherwise they would enter the next audience.
    """
    queries = [query for each in claims.earlier for query in _users(context, claims.changes, each)]
    return context.workspace.view("claimed", " union all ".join(queries)) if queries else None


def claims_changed(context: RunContext, changes: ChangeSet, earlier: Sequence[ResolvedAudience]) -> bool:
    """Whether this run has changed an earlier audience of the group."""
    return any(_last_change(context, changes, each) == context.run for each in earlier)


def _users(context: RunContext, changes: ChangeSet, target: ResolvedAudience) -> Iterator[str]:
    before, held_out = context.reader.held_out(target.key), _held_out(changes, target)
    chains = ChainsAfterRun(context.reader, changes)
    if target.key in chains:
        yield f"select user_id from ({current_rows_query(chains[target.key])})"
    if held_out is not None:
        yield held_out.after(before)
    elif before is not None:
        yield before


def _last_change(context: RunContext, changes: ChangeSet, target: ResolvedAudience) -> int:
    """The last run that changed the members or the held-out users."""
    if changes.chain_of(target.key) or _held_out(changes, target):
        return context.run
    return 0 if target.stored is None else context.stored.chains[target.stored.chain_id].changed


def _held_out(changes: ChangeSet, target: ResolvedAudience) -> HeldOut | None:
    return changes.properties[target.key].held_out if target.key in changes.properties else None
