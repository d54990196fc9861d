"""Match the audiences of the config with the stored ones. A key, once stored, never changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct

from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig, Settings
from audience_sync.errors import ConfigError, Problem
from audience_sync.keys import snake_key
from audience_sync.model import PropertyKind
from audience_sync.store.audiences.properties import Property


class ResolvedAudience(Struct, frozen=True, kw_only=True):
    """One audience of a run. ``stored`` is None before its first creation."""

    key: str
    name: str
    config: AudienceConfig
    stored: Property | None
    definition: str | None = None
    origin: str | None = None

    @property
    def store_key(self) -> str:
        """The key that the store has before the run."""
        return (self.stored and self.stored.moved_from) or self.key

    @property
    def holdout(self) -> float | None:
        """The share of users to hold out (0 to 1), or None."""
        return self.config.holdout or None

    @property
    def salt(self) -> str:
        """The key that the audience had when its holdout began."""
        return (self.stored and self.stored.holdout_salt) or self.key

    @property
    def is_renamed(self) -> bool:
        """Whether its name or its source differs from the stored one."""
        stored = self.stored
        return stored is not None and (stored.name, stored.definition) != (self.name, self.definition)

    def new_guard(self, settings: Settings) -> str | None:
        """Its guard now, as ``Guard.text``; None if the store has the same."""
        guard = settings.guard_of(self.config).text
        return guard if self.stored is None or self.stored.guard != guard else None

    def config_changes(self, guard: str | None) -> str | None:
        """How its config differs from the one that was last used, for people; None if it does not.

        ``guard``: its guard now, as ``Guard.text``, if that differs.
        """
        stored = self.stored
        if stored is None:
            return None
        found = [
            _change("name", stored.name, self.name),
            "another source, file, query or user_id" if self.definition != stored.definition else "",
            _change("holdout", _share(stored.holdout), _share(self.holdout)),
            _change("min_stay", stored.min_stay, str(self.config.min_stay) if self.config.min_stay else None),
            guard_changes(stored.guard, guard) if guard else "",
        ]
        return "; ".join(filter(None, found)) or None


def _change(option: str, before: str | None, now: str | None) -> str:
    return f"{option}: {now or 'none'} (was {before or 'none'})" if now != before else ""


def guard_changes(before: str | None, now: str) -> str | None:
    """The options of a guard that differ: ``max_removed: 20% (was 30%)``; None if the one before is not known."""
    if before is None:
        return None
    was, options = (dict(each.split(" ") for each in text.split(", ")) for text in (before, now))
    return "; ".join(filter(None, (_change(name, was[name], value) for name, value in options.items()))) or None


def _share(share: float | None) -> str | None:
    return f"{share * 100:g}%" if share else None


def source_hash(config: AudienceConfig) -> str:
    """A hash of where an audience is loaded from, which recognises it under a new name."""
    query = config.query and " ".join(config.query.split())
    where = [config.source, config.file, query, config.ids or config.user_id]
    return hashlib.blake2b(json.dumps(where).encode(), digest_size=16).hexdigest()


def origin(config: AudienceConfig) -> str:
    """The text that links audiences to their ``names_from`` entry."""
    return f"{config.source}:{config.names_from}"


class ResolvedConfig(Struct, frozen=True):
    """The config, matched with the stored properties.

    ``settings``: without retired computed traits; every entry keeps its index. ``warnings``: the config path and the
    message of each entry with a retired key.
    """

    settings: Settings
    audiences: Sequence[ResolvedAudience]
    warnings: Sequence[tuple[str, str]]


def resolve_config(settings: Settings, stored: Mapping[str, Property], *, leaving: str | None = None) -> ResolvedConfig:
    """Match the config with the stored properties. ``leaving``: the key that the run retires.

    Raises ConfigError for a key that an audience and a computed trait, or two audiences, have.
    """
    audiences = resolve_audiences(settings.audiences, stored, leaving=leaving)
    _refuse_traits(settings.computed_traits, stored, leaving=leaving)
    warnings = list(_retired_warnings(settings, stored))
    return ResolvedConfig(without_retired_traits(settings, stored), audiences, warnings)


def resolve_audiences(
    audiences: Sequence[AudienceConfig], stored: Mapping[str, Property], *, leaving: str | None = None
) -> list[ResolvedAudience]:
    """The audiences that the config names, with their stored keys, without retired ones.

    Raises ConfigError for a key that is a computed trait's, and for two audiences with one key; not for ``leaving``,
    the key that the run retires.
    """
    named = [
        (index, config)
        for index, config in enumerate(audiences)
        if config.names_from is None and retired_key(config, stored) in (None, leaving)
    ]
    known = [_known(config, stored) for _, config in named]
    claimed = {each.key for each in known if each}
    targets, problems = list[ResolvedAudience](), list[Problem]()
    for (index, config), found in zip(named, known, strict=True):
        target = _target(config, found or _renamed(config, stored, claimed), stored)
        claimed.add(target.key)
        if target.key != leaving:
            problems += _problems(f"audiences[{index}]", target, stored, targets)
        targets.append(target)
    entries = zip((index for index, _ in named), targets, strict=True)
    problems += [
        Problem(f"audiences[{index}]", _new_key(target, old))
        for index, target in entries
        if target.stored is None and (old := _old_key(target, stored, {*claimed, leaving}))
    ]
    if problems:
        raise ConfigError(problems)
    return targets


def retired_key(config: AudienceConfig, stored: Mapping[str, Property]) -> str | None:
    """The retired key that this entry still has; None if it is not retired."""
    found = None if config.names_from else _known(config, stored)
    return found.key if found and found.retired else None


def _old_key(target: ResolvedAudience, stored: Mapping[str, Property], claimed: Collection[str | None]) -> str | None:
    """The key of a stored audience from the same source that the config no longer has."""
    left = [each for each in stored.values() if _is_live(each) and each.key not in claimed]
    return next((each.key for each in left if each.definition == target.definition), None)


def _new_key(target: ResolvedAudience, old: str) -> str:
    new = target.key
    ways = {
        f"To rename the key {old} to {new}:": f"audience-sync sync --move-key {old}={new}",
        f"To set {old} to false, then start {new}:": f"audience-sync retire {old}",
        f"To keep the key {old}:": f"add `key: {old}` to the audience",
    }
    width = max(map(len, ways))
    lines = "".join(f"\n    {what:{width}}  {how}" for what, how in ways.items())
    return (
        f"audience '{old}' was removed from config.yaml, and '{new}' reads the same source. Nothing was changed or "
        f"sent.{lines}"
    )


def _known(config: AudienceConfig, stored: Mapping[str, Property]) -> Property | None:
    """The stored audience with this key or name, a live one first."""
    if config.key is not None:
        return stored.get(config.key)
    by_name = [each for each in stored.values() if _has_own_entry(each) and each.name == config.name]
    live = [each for each in by_name if not each.retired]
    same = [each for each in by_name if each.definition == source_hash(config)]
    return next(iter(live), None) or stored.get(snake_key(config.name or "")) or next(iter(same), None)


def _renamed(config: AudienceConfig, stored: Mapping[str, Property], claimed: set[str]) -> Property | None:
    """A stored audience from the same source that no entry of the config has."""
    if config.key is not None:
        return None
    same = [each for each in stored.values() if _is_live(each) and each.definition == source_hash(config)]
    return next((each for each in same if each.key not in claimed), None)


def _is_live(stored: Property) -> bool:
    return _has_own_entry(stored) and not stored.retired


def _has_own_entry(stored: Property) -> bool:
    return stored.kind is PropertyKind.AUDIENCE and stored.origin is None


def _target(config: AudienceConfig, found: Property | None, stored: Mapping[str, Property]) -> ResolvedAudience:
    name = config.name or config.key or ""
    key = found.key if found else config.key or snake_key(name)
    return ResolvedAudience(key=key, name=name, config=config, stored=stored.get(key), definition=source_hash(config))


def _problems(
    path: str, target: ResolvedAudience, stored: Mapping[str, Property], others: Sequence[ResolvedAudience]
) -> list[Problem]:
    message = refusal(target.key, stored)
    if message:
        return [Problem(path, message)]
    twin = next((each for each in others if each.key == target.key), None)
    if twin:
        return [Problem(path, f"'{target.name}' and '{twin.name}' both have the key '{target.key}'; give one a `key:`")]
    return []


def _refuse_traits(
    entries: Sequence[ComputedTraitsConfig], stored: Mapping[str, Property], *, leaving: str | None = None
) -> None:
    """Raise ConfigError for computed traits whose key is a stored audience's; not for ``leaving``."""
    problems = [
        Problem(f"computed_traits[{index}].traits", f"the key '{key}' is {in_use}")
        for index, entry in enumerate(entries)
        for key in entry.columns
        if key != leaving and (in_use := _used_by_audience(stored.get(key)))
    ]
    if problems:
        raise ConfigError(problems)


def _used_by_audience(known: Property | None) -> str | None:
    if known is None or known.retired or known.kind is PropertyKind.COMPUTED_TRAIT:
        return None
    return "an audience's. Give the trait another `key:`"


def refusal(key: str, stored: Mapping[str, Property]) -> str | None:
    """Why no audience may have this key in this store; None if it may."""
    known = stored.get(key)
    if known is None or known.retired:
        return None
    if known.kind is not PropertyKind.AUDIENCE:
        return f"the key '{key}' is a computed trait's. Give the audience another `key:`"
    return None


def without_retired_traits(settings: Settings, stored: Mapping[str, Property]) -> Settings:
    """The settings without retired computed traits; every entry keeps its index."""
    return settings.model_copy(
        update={"computed_traits": [_without_retired(entry, stored) for entry in settings.computed_traits]}
    )


def _retired_warnings(settings: Settings, stored: Mapping[str, Property]) -> Iterator[tuple[str, str]]:
    """The config path and the warning of each entry with a retired key."""
    for index, config in enumerate(settings.audiences):
        if key := retired_key(config, stored):
            yield f"audiences[{index}]", _skipped("audience", key)
    for index, entry in enumerate(settings.computed_traits):
        for key in entry.columns:
            if _is_retired(key, stored):
                yield f"computed_traits[{index}].traits", _skipped("trait", key)


def _skipped(what: str, key: str) -> str:
    return (
        f"the key '{key}' is retired, so every run skips it. Remove the {what} from the config; "
        "a new one needs another `key:`."
    )


def _without_retired(entry: ComputedTraitsConfig, stored: Mapping[str, Property]) -> ComputedTraitsConfig:
    live = [trait for trait in entry.traits if not _is_retired(trait.property_key, stored)]
    if len(live) == len(entry.traits):
        return entry
    fields = dict(entry) | {"traits": live}  # a copy would keep the cached keys
    return ComputedTraitsConfig.model_construct(_fields_set=entry.model_fields_set, **fields)


def _is_retired(key: str, stored: Mapping[str, Property]) -> bool:
    return key in stored and stored[key].retired
