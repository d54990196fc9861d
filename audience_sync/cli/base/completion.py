"""Complete keys, runs, destinations and environments in the shell, from the config and a SQLite store.

It runs at each press of Tab: quickly, without a secret, and without a word on any error. User ids are never completed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audience_sync.command_line import PROGRAM

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from audience_sync.config.read.names import ConfigNames

Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]

VARIABLE = "_AUDIENCE_SYNC_COMPLETE"
#: The key under which a context has the names of shared options that stand after the command.
GIVEN = "audience_sync.given"
#: The most runs that are offered, the newest first.
MAX_RUNS = 20
#: Seconds to wait for another program that writes the store.
PATIENCE = 0.2
_KEYS = "select key, name from audiences where retired_at is null order by key"
_TRAITS = "select key, name from computed_traits where retired_at is null order by key"
_DESTINATIONS = "select name, type from destinations order by name"
_RUNS = "select run, command || ', ' || status || ', ' || substr(started_at, 1, 16) from sync_runs order by run desc"
_HELD = """
    select last_run, group_concat(key, ', ') from holds where status = 'held' group by last_run order by last_run desc
"""
_HELD_KEYS = "select key, reason from holds where status = 'held' order by key"
_FROZEN = "select key, name from audiences where flags like '%frozen%' order by key"


def answer_shell(command: click.Command) -> int:
    """Print what the shell asked for in VARIABLE. Errors print nothing. Returns the exit code."""
    from audience_sync.cli.base.bash_completion import register

    register()
    shown, sys.stderr = sys.stderr, open(os.devnull, "w")  # noqa: SIM115  # until the process ends
    try:
        command.main(prog_name=PROGRAM, complete_var=VARIABLE, standalone_mode=False)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except Exception:  # a message would stand in the middle of the person's line
        return 1
    finally:
        sys.stderr = shown
    return 1


def complete_with(find: Callable[[click.Context], Iterable[tuple[object, str]]]) -> Complete:
    """A completion of the values, with texts about them, that ``find`` returns; of none if it fails."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        given = context.params.get(parameter.name or "")
        chosen = set(map(str, given)) if isinstance(given, tuple) else set()
        try:
            found = {str(value): " ".join((text or "").split()) for value, text in find(context)}
        except Exception:
            return []
        return [
            CompletionItem(value, help=text or None)
            for value, text in found.items()
            if value.startswith(incomplete) and value not in chosen
        ]

    return complete


def _keys(context: click.Context) -> Iterator[tuple[str, str]]:
    yield from ((key, "") for key in _config_names(context).audiences)
    yield from _stored(context, _KEYS)


def _stored_keys(context: click.Context) -> Iterator[tuple[str, str]]:
    """Keys of audiences that have been synced; those of the config if there is no SQLite store."""
    found = _stored(context, _KEYS)
    yield from found or ((key, "") for key in _config_names(context).audiences)


def _all_keys(context: click.Context) -> Iterator[tuple[str, str]]:
    names = _config_names(context)
    yield from ((key, "") for key in (*names.audiences, *names.traits))
    yield from _stored(context, _KEYS)
    yield from _stored(context, _TRAITS)


def _destinations(context: click.Context) -> Iterator[tuple[str, str]]:
    """The destinations of the config; those of the store only if it can't be read."""
    found = _config_names(context).destinations
    yield from ((name, "") for name in found) if found else _stored(context, _DESTINATIONS)


def _runs(context: click.Context) -> list[Any]:
    return _stored(context, f"{_RUNS} limit {MAX_RUNS}")


def _held_runs(context: click.Context) -> list[Any]:
    return _stored(context, _HELD)


def _held_keys(context: click.Context) -> list[Any]:
    return _stored(context, _HELD_KEYS)


def _frozen_keys(context: click.Context) -> list[Any]:
    return _stored(context, _FROZEN)


def _environments(context: click.Context) -> Iterator[tuple[str, str]]:
    return ((name, "") for name in _config_names(context).environments)


def _config_files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _config_names(context: click.Context) -> ConfigNames:
    from audience_sync.config.read.names import ConfigNames, read_names

    config, environment = _config_of(context)
    return read_names(config, environment) or ConfigNames()


def _config_of(context: click.Context) -> tuple[Path, str | None]:
    """The config and the environment that the command line names, before or after the command."""
    found: dict[str, Any] = {**context.find_root().params}
    found.update({name: getattr(context.obj, name, None) for name in context.meta.get(GIVEN, ())})
    return Path(found.get("config") or "config.yaml"), found.get("environment")


def _stored(context: click.Context, query: str) -> list[Any]:
    """Rows of the store's views; none if they can't be read.

    Only those of a SQLite store are read: another database may want a password, and takes longer than a person waits.
    """
    import sqlite3

    from audience_sync.config.read.config_tree import read_config_tree
    from audience_sync.config.read.paths import DEFAULT_STORE, database_url

    try:
        tree, _, resolver = read_config_tree(*_config_of(context), os.environ)
        store = resolver.resolve({"store": tree.get("store") or DEFAULT_STORE})["store"]
        scheme, _, file = database_url(store, resolver.folder).partition(":///")
        if scheme != "sqlite" or not Path(file).is_file():
            return []
        uri = f"{Path(file).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as connection:
            return connection.execute(query).fetchall()
    except Exception:
        return []


complete_keys = complete_with(_keys)
complete_stored_keys = complete_with(_stored_keys)
complete_all_keys = complete_with(_all_keys)
complete_destinations = complete_with(_destinations)
complete_runs = complete_with(_runs)
complete_held_runs = complete_with(_held_runs)
complete_held_keys = complete_with(_held_keys)
complete_frozen_keys = complete_with(_frozen_keys)
complete_environments = complete_with(_environments)
complete_config_files = _config_files
