"""Find the users whom earlier audiences of a priority group claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from audience_sync.config.models import Settings
from audience_sync.config.read.problems import ConfigPath, dotted
from audience_sync.config.validate.priority_groups import audience_positions, repeated_message, unknown_audience_message
from audience_sync.errors import ConfigError, Problem
from audience_sync.store.audiences.properties import Property
from audience_sync.store.snapshots.chain import Chain, current_rows_query
from audience_sync.sync.load.resolve_audiences import ResolvedAudience
from audience_sync.sync.values.change_set import ChangeSet
from audience_sync.sync.values.stored_state import StoredState

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
        for text, place in called.items()
        if id(config := settings.audiences[place]) in by_config
    }
    closed = {text for text in called if text not in by_text} | {key for key, each in stored.items() if each.retired}
    names = [target.name for target in targets]
    groups, problems, first = list[list[ResolvedAudience]](), list[Problem](), dict[str, ConfigPath]()
    for group, texts in settings.priority_groups.items():
        groups.append([])
        for index, text in enumerate(texts):
            place, target = ("priority_groups", group, index), by_text.get(text)
            if target is not None and target.key not in first:
                first[target.key] = place
                groups[-1].append(target)
            elif target is not None:
                problems.append(Problem(dotted(place), repeated_message(text, first[target.key])))
            elif text not in closed:
                problems.append(Problem(dotted(place), unknown_audience_message(text, names)))
    if problems:
        raise ConfigError(problems)
    return groups


def earlier_in_groups(groups: Sequence[Sequence[ResolvedAudience]]) -> Earlier:
    return {target.key: group[:place] for group in groups for place, target in enumerate(group) if place}


def processing_waves(targets: Sequence[ResolvedAudience], earlier: Earlier) -> Iterator[Sequence[ResolvedAudience]]:
    """The targets in turns, at least one: each comes after all that go before it in its group."""
    turns = {target.key: len(earlier.get(target.key, ())) for target in targets}
    for turn in range(max(turns.values(), default=0) + 1):
        yield [target for target in targets if turns[target.key] == turn]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityGroups:
    """The audiences of the groups as changed so far; held, failed, frozen and unselected ones as they are stored.

    ``chain``: returns a stored chain with its segments. ``held_out``: returns a query for users held out before.
    """

    earlier: Earlier
    changes: ChangeSet
    stored: StoredState
    run: int
    chain: Callable[[int], Chain]
    held_out: Callable[[ResolvedAudience], str | None]

    def claimed_users(self, target: ResolvedAudience) -> str | None:
        """A query for the members and held-out users of earlier audiences; None if there is none.

        Held-out users are claimed, too, because otherwise they would enter the next audience.
        """
        queries = [query for each in self.earlier.get(target.key, ()) for query in self._users(each)]
        return " union all ".join(queries) or None

    def versions(self, target: ResolvedAudience) -> str:
        """A text that changes if other users may be claimed."""
        return " ".join(f"{each.key}@{self._changed(each)}" for each in self.earlier.get(target.key, ()))

    def has_changed_before(self, target: ResolvedAudience) -> bool:
        """Whether this run has changed an earlier audience of the group."""
        return any(self._changed(each) == self.run for each in self.earlier.get(target.key, ()))

    def _users(self, target: ResolvedAudience) -> Iterator[str]:
        chain, before = self._chain(target), self.held_out(target)
        if chain is not None:
            yield f"select user_id from ({current_rows_query(chain)})"
        if target.key in self.changes.held_out:
            yield self.changes.held_out[target.key].after(before)
        elif before is not None:
            yield before

    def _chain(self, target: ResolvedAudience) -> Chain | None:
        for change in self.changes.changes:
            if target.key in change.chain.keys:
                return change.chain
        return None if target.stored is None else self.chain(target.stored.chain_id)

    def _changed(self, target: ResolvedAudience) -> int:
        changed = any(target.key in change.chain.keys for change in self.changes.changes)
        if changed or target.key in self.changes.held_out:
            return self.run
        return 0 if target.stored is None else self.stored.chains[target.stored.chain_id].changed
