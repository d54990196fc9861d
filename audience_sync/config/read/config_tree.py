"""Read the config's values with the overrides of an environment, before anything is validated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from audience_sync.config.read import yaml_file
from audience_sync.config.read.environments import apply_environment
from audience_sync.config.read.paths import DEFAULT_STORE, database_url, store_problem
from audience_sync.config.read.problems import ConfigProblem, RawConfig
from audience_sync.config.read.variables import Resolver
from audience_sync.errors import ConfigError, Problem
from audience_sync.redaction.secrets import collect_secrets, passwords_in_url


class StoreAddress(NamedTuple):
    """The store's URL with its variables put in, and the secrets in it."""

    url: str
    secrets: tuple[str, ...]


def read_config_tree(
    path: Path, environment: str | None, variables: Mapping[str, str], parts: frozenset[str] | None = None
) -> tuple[RawConfig, list[ConfigProblem], Resolver]:
    """The file's values with the overrides of an environment, the problems with both, and a resolver of variables.

    ``parts``: the options at the top level; None accepts every name. Raises ConfigError.
    """
    try:
        folder = Path(os.path.abspath(path)).parent
    except FileNotFoundError:
        message = (
            "the folder that the command was started in was removed: change into an existing folder, and run again"
        )
        raise ConfigError([Problem("", message)]) from None
    tree, repeated = yaml_file.read(path)
    tree, overridden = apply_environment(tree, environment, parts)
    return tree, [*repeated, *overridden], Resolver(variables=variables, folder=folder)


def read_store_address(path: Path, environment: str | None, variables: Mapping[str, str]) -> StoreAddress | None:
    """The store's address. None if it has a problem, or if other options of the store have to be validated, too.

    Raises ConfigError if the config can't be read.
    """
    if not path.is_file():  # a pipe can be read once
        return None
    tree, problems, resolver = read_config_tree(path, environment, variables, frozenset())
    resolver = replace(resolver, reads_pipes=False)
    given = tree.get("store")
    store = resolver.resolve({"store": DEFAULT_STORE if given is None else given})["store"]
    if problems or resolver.problems or tree.get("memory_limit") is not None or not isinstance(store, str):
        return None
    if store_problem(store):
        return None
    url = database_url(store, resolver.folder)
    return StoreAddress(url, collect_secrets([*resolver.values, *passwords_in_url(url)]))
