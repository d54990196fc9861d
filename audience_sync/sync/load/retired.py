"""Leave retired keys out of a run although the config still has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from audience_sync.config.models import ComputedTraitsConfig, Settings
from audience_sync.store.audiences.properties import Property
from audience_sync.sync.load.resolve_audiences import retired_key


def without_retired_traits(settings: Settings, stored: Mapping[str, Property]) -> Settings:
    """The settings without retired computed traits; every entry keeps its index."""
    return settings.model_copy(
        update={"computed_traits": [_without_retired(entry, stored) for entry in settings.computed_traits]}
    )


def retired_warnings(settings: Settings, stored: Mapping[str, Property]) -> Iterator[tuple[str, str]]:
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
