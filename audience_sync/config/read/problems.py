"""Describe problems of the config by config path, and report all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from audience_sync.errors import ConfigError, Problem
from audience_sync.redaction.secrets import mask_secrets

ConfigPath = tuple[str | int, ...]
RawConfig = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    path: ConfigPath
    message: str


def dotted(path: ConfigPath) -> str:
    """``audiences[2].guard.max_removed``"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def config_error(findings: Iterable[ConfigProblem], secrets: Iterable[str] = ()) -> ConfigError:
    """An error with each problem once, in this order, and with secrets masked."""
    hidden = tuple(secrets)
    problems = (Problem(dotted(found.path), mask_secrets(found.message, hidden)) for found in findings)
    return ConfigError(list(dict.fromkeys(problems)))


def children(value: object) -> Iterator[tuple[str | int, Any]]:
    """The items of a mapping or a list, by name or index; nothing for a plain value."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
