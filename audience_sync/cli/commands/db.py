"""``audience-sync db``: upgrade, check, back up or copy the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.layout import Screen, command, labelled, prose
from audience_sync.cli.base.options import common_options
from audience_sync.cli.views.checks import check_rows
from audience_sync.text import pluralize

if TYPE_CHECKING:
    from audience_sync.store.integrity.result import CheckResult


@click.group()
def db() -> None:
    """Upgrade, check, back up or copy the store."""


@db.command(short_help="Bring the store's schema up to date.")
@common_options
@click.pass_context
def upgrade(context: click.Context) -> None:
    """Bring the store's schema up to date; a SQLite store is backed up first."""
    from audience_sync.cli.base.output import path_text, print_json, screen, write
    from audience_sync.cli.wiring.dependencies import options_of, settings_of_written_store
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance import migrate

    options = options_of(context)
    store = Store(settings_of_written_store(options).store)
    before = migrate.current(store)
    backup = migrate.upgrade(store)
    if options.as_json:
        print_json({"from": before, "to": migrate.HEAD, "backup": backup and str(backup)})
        return
    if before == migrate.HEAD:
        text = f"{path_text(store.label)} is up to date: schema {migrate.HEAD}."
    else:
        was = f" (before: {before})" if before else ""
        text = f"{path_text(store.label)} was upgraded to schema {migrate.HEAD}{was}."
    write(prose(text, screen()))
    if backup:
        write(labelled([("Backup", str(backup))], screen()))


@db.command(short_help="Show the store's schema.")
@common_options
@click.pass_context
def current(context: click.Context) -> int:
    """Show which schema the store has, and which this program needs."""
    from audience_sync.cli.base.errors import FAILED, OK
    from audience_sync.cli.base.output import path_text, print_json, screen, write
    from audience_sync.cli.wiring.dependencies import options_of, read_store_settings
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance import migrate

    options = options_of(context)
    store = Store(read_store_settings(options).store)
    revision = migrate.current(store)
    if options.as_json:
        print_json({"store": store.label, "schema": revision, "program": migrate.HEAD})
    else:
        write(_current_lines(path_text(store.label), revision, migrate.HEAD, screen()))
    return OK if revision == migrate.HEAD else FAILED


@db.command(short_help="Check the store for damage.")
@common_options
@click.pass_context
def check(context: click.Context) -> int:
    """Check the database, every snapshot's checksum, the members, and the position of each destination."""
    from audience_sync.cli.base.errors import FAILED, OK
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.wiring.dependencies import options_of, read_store_settings
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.integrity.check_store import check_store

    options = options_of(context)
    settings = read_store_settings(options)
    found = list(check_store(Store(settings.store), memory_limit=settings.memory_limit))
    if options.as_json:
        print_json({"checks": [each._asdict() for each in found]})
    else:
        write(_check_lines(found, screen()))
    return OK if all(each.good for each in found) else FAILED


@db.command(short_help="Copy a SQLite store into FILE.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@common_options
@click.pass_context
def backup(context: click.Context, file: Path) -> None:
    """Copy a SQLite store into FILE, consistent at one moment; runs may continue."""
    from audience_sync.cli.base.output import path_text, print_json, screen, write
    from audience_sync.cli.wiring.dependencies import options_of, settings_of_written_store
    from audience_sync.config.validate.shared_files import FileUse
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance.backup import back_up

    options = options_of(context)
    store = Store(settings_of_written_store(options, [FileUse(option="FILE", path=str(file), is_written=True)]).store)
    size = back_up(store, file)
    if options.as_json:
        print_json({"file": str(file), "bytes": size})
        return
    lines = prose(f"Backed up {path_text(store.label)} to {file} ({size:,} bytes).", screen())
    lines += prose("To restore it, copy it over the store while no run is in progress. Then:", screen())
    write([*lines, command("audience-sync resync")])


@db.command("copy", short_help="Move everything to another store.")
@click.argument("url")
@common_options
@click.pass_context
def copy_to(context: click.Context, url: str) -> None:
    """Move everything to another, empty store: sqlite:///new.db or postgresql://user@host/database.

    Anyone on this machine can read a command line: give an address with a password as '${NEW_STORE}', in quotes, which
    stands for the environment variable, or as '${file:/run/secrets/store}'.
    """
    from audience_sync.cli.base.errors import add_secrets
    from audience_sync.cli.base.output import path_text, print_json, screen, write
    from audience_sync.cli.wiring.dependencies import options_of, settings_of_written_store
    from audience_sync.config.validate.shared_files import database_uses
    from audience_sync.redaction.secrets import collect_secrets, passwords_in_url
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance.copy import copy_store

    options = options_of(context)
    add_secrets(passwords_in_url(url))
    written, url = url, _store_url(url)
    add_secrets(passwords_in_url(url) if url == written else collect_secrets([url]))
    settings = settings_of_written_store(options, list(database_uses("URL", url, is_written=True)))
    target = Store(url)
    counts = copy_store(Store(settings.store), target)
    if options.as_json:
        print_json({"store": target.label, "rows": counts})
        return
    rows = pluralize(sum(counts.values()), "row")
    copied = f"Copied {rows} of {len(counts)} tables to {path_text(target.label)}. Counts and checksums match."
    lines = [*prose(copied, screen()), "", *prose("Set `store:` in the config to the new store. Then:", screen())]
    write([*lines, command("audience-sync check")])


def _current_lines(label: str, revision: str | None, needed: str, screen: Screen) -> list[str]:
    if revision == needed:
        return prose(f"{label} is up to date: schema {needed}.", screen)
    if revision is None:
        text = f"{label} has no schema yet. The first run of a SQLite store creates it. To create it now:"
        return [*prose(text, screen), command("audience-sync db upgrade")]
    if revision > needed:
        text = f"{label} has schema {revision}, made by a newer version. This program needs {needed}."
        return [*prose(text, screen), *prose("Install the newer version of audience-sync.", screen)]
    text = f"{label} has schema {revision}. This program needs {needed}. To upgrade it:"
    return [*prose(text, screen), command("audience-sync db upgrade")]


def _check_lines(found: Sequence[CheckResult], screen: Screen) -> list[str]:
    """Lay out the outcome, then one line for each part."""
    failed = sum(not each.good for each in found)
    outcome = f"The store is intact: {pluralize(len(found), 'check')} passed."
    if failed:
        outcome = (
            f"The store is damaged: {failed} of {pluralize(len(found), 'check')} failed. Stop scheduled runs first."
        )
    lines = [
        *prose(outcome, screen),
        "",
        *check_rows([(each.good, each.part, each.message) for each in found], screen),
    ]
    if failed:  # each line has its remedy
        return lines
    restored = "If it was restored from a backup, destinations have newer values than it has on record:"
    return [*lines, "", *prose(restored, screen), command("audience-sync resync")]


def _store_url(text: str) -> str:
    import os
    from pathlib import Path

    from audience_sync.config.loader import read_store_url
    from audience_sync.errors import ConfigError

    try:
        return read_store_url(text, Path.cwd(), os.environ)
    except ConfigError as error:
        raise click.BadParameter("; ".join(each.message for each in error.problems), param_hint="URL") from None
