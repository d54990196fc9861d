"""Read the names in a config without validating it: keys, destinations and environments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audience_sync.config.read import yaml_file
from audience_sync.config.read.environments import apply_environment
from audience_sync.errors import ConfigError
from audience_sync.keys import KeyRefusedError, snake_key, trait_key


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigNames:
    """The names in a config. Values with variables are left out, since a variable may be a secret.

    ``audiences`` and ``traits``: their keys. ``manual``: the audiences that a person seeds (`initial: manual`).
    ``audience_names``: for people. ``lists_all``: no audience gets its key from a source (`names_from`).
    """

    audiences: tuple[str, ...] = ()
    manual: tuple[str, ...] = ()
    audience_names: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    lists_all: bool = True
    has_schedule: bool = False


def read_names(path: Path, environment: str | None) -> ConfigNames | None:
    """The names in a config; None if it can't be read."""
    if not path.is_file():  # a pipe can be read once
        return None
    try:
        whole, _ = yaml_file.read(path)
        tree, _ = apply_environment(whole, environment, None)
    except (ConfigError, OSError, RecursionError, ValueError):
        return None
    audiences = [each for each in _list(tree.get("audiences")) if isinstance(each, dict)]
    found = [_audience_key(each) for each in audiences]
    return ConfigNames(
        audiences=_texts(found),
        manual=_texts(_audience_key(each) for each in audiences if each.get("initial") == "manual"),
        audience_names=_texts(each.get("name") for each in audiences),
        traits=_texts(key for entry in _list(tree.get("computed_traits")) for key in _trait_keys(entry)),
        destinations=_texts(_mapping(tree.get("destinations"))),
        environments=_texts(_mapping(whole.get("environments"))),
        lists_all=None not in found,
        has_schedule=bool(tree.get("schedule")) or any(each.get("schedule") for each in audiences),
    )


def _audience_key(entry: Mapping[str, Any]) -> str | None:
    """The key of an audience; None if it comes from a source, or can't be derived."""
    key, name = entry.get("key"), entry.get("name")
    return _derived(key or name, snake_key if not key else str)


def _trait_keys(entry: object) -> Iterator[str | None]:
    """The keys of an entry's computed traits, each a name or a mapping."""
    for each in _list(_mapping(entry).get("traits")):
        given = _mapping(each)
        name = given.get("name") or given.get("column") or each
        yield _derived(given.get("key") or name, str if given.get("key") else trait_key)


def _derived(text: object, derive: Any) -> str | None:
    if not isinstance(text, str) or "${" in text:
        return None
    try:
        return str(derive(text))
    except KeyRefusedError:
        return None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for each in values if isinstance(each, str)))
