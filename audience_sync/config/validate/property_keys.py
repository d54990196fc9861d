"""Check the keys of audiences and traits: refused, reserved and duplicate ones are problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from audience_sync.config.read.problems import ConfigPath, ConfigProblem, RawConfig, dotted
from audience_sync.config.validate.cross_checks import entries
from audience_sync.config.validate.pydantic_errors import as_list
from audience_sync.keys import (
    KeyRefusedError,
    explicit_key,
    explicit_trait_key,
    reserved_reason,
    reserved_trait_reason,
    snake_key,
    trait_key,
)

#: The config path of a key or name, its text, and the function that derives the key from it.
KeySource = tuple[ConfigPath, str, Callable[[str], str]]


def find_problems(tree: RawConfig, profile_fields: frozenset[str]) -> Iterator[ConfigProblem]:
    """``profile_fields``: normalised keys that the config's destinations reserve for the user's profile."""
    first: dict[str, ConfigPath] = {}
    for source in _audiences(tree):
        yield from _problems_with_key(source, first, lambda key: reserved_reason(key, profile_fields))
    for source in _traits(tree):
        yield from _problems_with_key(source, first, reserved_trait_reason)


def _problems_with_key(
    source: KeySource, first: dict[str, ConfigPath], reserved: Callable[[str], str | None]
) -> Iterator[ConfigProblem]:
    path, text, read = source
    try:
        key = read(text)
    except KeyRefusedError as error:
        yield ConfigProblem(path, str(error))
        return
    if reason := reserved(key):
        yield ConfigProblem(path, reason)
    # `firstName` and `firstname` are one column to a database, and to some receivers one property.
    folded = key.casefold()
    if folded in first:
        yield ConfigProblem(
            path, f"its key `{key}` is already that of {dotted(first[folded])}: give one of them another `key:`"
        )
    first.setdefault(folded, path[:-1] if isinstance(path[-1], str) else path)


def _audiences(tree: RawConfig) -> Iterator[KeySource]:
    for path, entry in entries(tree, "audiences"):
        if entry.get("names_from") is None:
            yield from _key_source(entry, path, {"key": explicit_key, "name": snake_key})


def _traits(tree: RawConfig) -> Iterator[KeySource]:
    for path, entry in entries(tree, "computed_traits"):
        for index, trait in enumerate(as_list(entry.get("traits"))):
            at = (*path, "traits", index)
            if isinstance(trait, str):
                yield at, trait, trait_key
            elif isinstance(trait, Mapping):
                readers = {"key": explicit_trait_key, "name": trait_key, "column": trait_key}
                yield from _key_source(trait, at, readers)


def _key_source(
    entry: Mapping[str, Any], path: ConfigPath, readers: Mapping[str, Callable[[str], str]]
) -> Iterator[KeySource]:
    """The first option that is set determines the key."""
    given = next((name for name in readers if entry.get(name) is not None), None)
    if given is not None and isinstance(entry[given], str):
        yield (*path, given), entry[given], readers[given]
