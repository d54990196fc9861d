"""Read what a config has without its variables, for those who lack its secrets: keys, models of dbt, destinations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audience_sync.config.read import yaml_file
from audience_sync.config.read.environments import apply_environment
from audience_sync.config.read.problems import config_error
from audience_sync.config.validate.pydantic_errors import as_list, as_mapping
from audience_sync.errors import ConfigError, Problem
from audience_sync.keys import KeyRefusedError, explicit_key, snake_key, trait_key


@dataclass(frozen=True, slots=True)
class OutlinedEntry:
    """An entry of the config: an audience by ``key``, audiences by ``names_from``, or computed ``traits`` by key.

    ``models``: its `dbt_model`, as written. ``destinations``: None is all. ``origin``: links the store's audiences to
    their `names_from`.
    """

    key: str | None
    names_from: str | None
    traits: tuple[str, ...]
    models: tuple[str, ...]
    destinations: tuple[str, ...] | None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """The entries of a config, audiences first, and its destinations with their options as written."""

    entries: tuple[OutlinedEntry, ...]
    destinations: Mapping[str, Mapping[str, Any]]


def read_outline(config: Path, environment: str | None) -> Outline:
    """The outline of a config, with the part of its ``environments`` that ``environment`` names.

    Only keys are checked. Raises ConfigError.
    """
    tree, _ = yaml_file.read(config)
    tree, problems = apply_environment(tree, environment, None)
    if problems:
        raise config_error(problems)
    return outline_of(tree)


def outline_of(tree: Mapping[str, Any]) -> Outline:
    """The outline of a config that was read. Raises ConfigError."""
    try:
        entries = (*_audiences(tree), *_computed_traits(tree))
    except KeyRefusedError as error:
        raise ConfigError([Problem("", str(error))]) from None
    destinations = {name: as_mapping(options) for name, options in as_mapping(tree.get("destinations")).items()}
    return Outline(entries, destinations)


def _audiences(tree: Mapping[str, Any]) -> Iterator[OutlinedEntry]:
    for entry in map(as_mapping, as_list(tree.get("audiences"))):
        names_from = entry.get("names_from") or None
        key = None
        if names_from is None:
            key = explicit_key(str(entry["key"])) if entry.get("key") else snake_key(str(entry.get("name")))
        models, origin = _texts(entry.get("dbt_model")) or (), names_from and f"{entry.get('source')}:{names_from}"
        yield OutlinedEntry(key, names_from, (), models, _texts(entry.get("destinations")), origin)


def _computed_traits(tree: Mapping[str, Any]) -> Iterator[OutlinedEntry]:
    for entry in map(as_mapping, as_list(tree.get("computed_traits"))):
        keys = tuple(map(key_of_trait, as_list(entry.get("traits"))))
        models = _texts(entry.get("dbt_model")) or ()
        yield OutlinedEntry(None, None, keys, models, _texts(entry.get("destinations")))


def key_of_trait(trait: object) -> str:
    """The key of a trait as `traits` of an entry has it: a column, or a mapping. Raises KeyRefusedError."""
    options = trait if isinstance(trait, Mapping) else {"column": trait}
    return str(options.get("key") or trait_key(str(options.get("name") or options.get("column"))))


def _texts(value: object) -> tuple[str, ...] | None:
    """The texts of a list, or one text; None if there is no value."""
    if value is None:
        return None
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)
