"""What does `--env NAME` change? An environment's overrides, laid over the rest of the config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from audience_sync.config.read.problems import Finding, Tree
from audience_sync.config.read.suggestions import unknown, unknown_option


def for_environment(tree: Tree, name: str | None, parts: frozenset[str]) -> tuple[Tree, list[Finding]]:
    """The config with the environment's overrides; ``parts`` are the names a config may have at its top.

    Mappings merge, lists are replaced, null removes; a destination of another type replaces the whole.
    """
    rest = {part: value for part, value in tree.items() if part != "environments"}
    environments = tree.get("environments") or {}
    if not isinstance(environments, dict):
        return rest, [Finding(("environments",), "it must be a mapping: environment names to overrides")]
    findings = list(_checked(environments, parts))
    if name is not None and name not in environments:
        return rest, [*findings, Finding(("environments",), unknown("environment", name, environments))]
    overrides = environments.get(name) if name is not None else None
    return (_laid_over(rest, _only(parts, overrides)) if isinstance(overrides, dict) else rest), findings


def _only(parts: frozenset[str], overrides: Tree) -> Tree:
    """Without the unknown parts, which have been found already."""
    return {part: value for part, value in overrides.items() if part in parts}


def _checked(environments: Tree, parts: frozenset[str]) -> Iterator[Finding]:
    for name, overrides in environments.items():
        if overrides is not None and not isinstance(overrides, dict):
            yield Finding(("environments", name), "it must be a mapping, like the config itself")
        for part in overrides if isinstance(overrides, dict) else ():
            if part not in parts:
                yield Finding(("environments", name, part), unknown_option(part, parts))


def _laid_over(base: Tree, overrides: Tree) -> Tree:
    merged = {part: _value(base.get(part), value) for part, value in overrides.items()}
    return {part: value for part, value in {**base, **merged}.items() if overrides.get(part, 0) is not None}


def _value(base: Any, override: Any) -> Any:
    if isinstance(base, dict) and isinstance(override, dict) and not _of_another_type(base, override):
        return _laid_over(base, override)
    return override


def _of_another_type(base: Tree, override: Tree) -> bool:
    return "type" in base and override.get("type", base["type"]) != base["type"]
