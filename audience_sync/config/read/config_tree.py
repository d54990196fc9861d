"""Read the config's values with the overrides of an environment, before anything is validated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from audience_sync.config.read import yaml_file
from audience_sync.config.read.environments import apply_environment
from audience_sync.config.read.problems import ConfigProblem, RawConfig
from audience_sync.config.read.variables import Resolver
from audience_sync.errors import ConfigError, Problem


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
