"""Write commands that a person can paste: quoted for the shell, and with the options that name the same project."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

PROGRAM = "audience-sync"
#: The commands that work on a project. The others (`init`, `sandbox`, `completion`, `docs`, `schema`) need none.
PROJECT_COMMANDS = (
    *("approve", "check", "dashboard", "db", "dbt", "erase", "explain", "freeze", "history", "members", "plan"),
    *("reject", "resync", "retire", "retry", "schedule", "seed", "serve", "show", "status", "suppress", "sync"),
    *("test-destination", "undo", "unfreeze", "unsuppress"),
)

_given: list[str] = []


def give_options(words: Iterable[str]) -> None:
    """Set the options, such as ``--env production``, with which this process was given its project."""
    _given[:] = words


def given_options() -> str:
    """These options, quoted for the shell; empty if the project is that of the working directory."""
    return _quoted(_given)


def to_paste(*words: object) -> str:
    """``audience-sync retry --destination 'my tool'``: a command with its words, quoted for the shell."""
    return f"{PROGRAM} {_quoted(words)}"


def with_options(text: str, options: str) -> str:
    """The text, in which every command on a project has these options: ``audience-sync --env production sync``."""
    return _project_command().sub(lambda found: f"{found[0]}{options} ", text) if options else text


@cache
def _project_command() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w/-]){PROGRAM} (?=(?:{'|'.join(PROJECT_COMMANDS)})(?![\w-]))")


def _quoted(words: Iterable[object]) -> str:
    import shlex

    return shlex.join(map(str, words))
