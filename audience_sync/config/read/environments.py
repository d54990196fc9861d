"""Apply the overrides of an environment (`--env NAME`) to the rest of the config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from audience_sync.config.read.problems import ConfigProblem, RawConfig
from audience_sync.text import unknown_name_message, unknown_option_message


def apply_environment(
    tree: RawConfig, name: str | None, parts: frozenset[str] | None
) -> tuple[RawConfig, list[ConfigProblem]]:
    """The config with the environment's overrides, and the problems of all environments.

    ``parts`` are the options at the top level; None accepts every name. Mappings merge, lists are replaced, null
    removes, and a destination of another type replaces the old one completely.
    """
    rest = {part: value for part, value in tree.items() if part != "environments"}
    environments = tree.get("environments") or {}
    if not isinstance(environments, dict):
        return rest, [ConfigProblem(("environments",), "it must be a mapping: environment names to overrides")]
    problems = list(_problems(environments, parts))
    if name is not None and name not in environments:
        problems.append(ConfigProblem(("environments",), unknown_name_message("environment", name, environments)))
    overrides = environments.get(name) if name is not None else None
    if not isinstance(overrides, dict):
        return rest, problems
    return _merge(rest, {part: value for part, value in overrides.items() if parts is None or part in parts}), problems


def _problems(environments: RawConfig, parts: frozenset[str] | None) -> Iterator[ConfigProblem]:
    for name, overrides in environments.items():
        if overrides is not None and not isinstance(overrides, dict):
            yield ConfigProblem(("environments", name), "it must be a mapping, like the config itself")
        for part in overrides if isinstance(overrides, dict) else ():
            if parts is not None and part not in parts:
                yield ConfigProblem(("environments", name, part), unknown_option_message(part, parts))


def _merge(base: RawConfig, overrides: RawConfig) -> RawConfig:
    merged = {part: _merge_value(base.get(part), value) for part, value in overrides.items()}
    return {part: value for part, value in {**base, **merged}.items() if overrides.get(part, 0) is not None}


def _merge_value(base: Any, override: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(override, dict)):
        return override
    has_another_type = "type" in base and override.get("type", base["type"]) != base["type"]
    return override if has_another_type else _merge(base, override)
