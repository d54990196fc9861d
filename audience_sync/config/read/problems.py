"""Where in the config is a problem? Findings by place, to be reported all at once."""

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
    """Every finding once, in its order; a secret in a message is masked."""
    known = tuple(secrets)
    problems = (Problem(dotted(found.path), mask_secrets(found.message, known)) for found in findings)
    return ConfigError(list(dict.fromkeys(problems)))


def children(value: object) -> Iterator[tuple[str | int, Any]]:
    """The parts of a mapping or a list, by name or index; nothing for a plain value."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
