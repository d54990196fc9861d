"""``audience-sync db``: the store's schema, and moving everything to another store."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.options import common


@click.group()
def db() -> None:
    """The store: upgrade, current, check, backup, copy."""


@db.command()
@common
@click.pass_context
def upgrade(context: click.Context) -> None:
    """Bring the store's schema up to date; a SQLite store is backed up first."""
    from audience_sync.cli.compose import options_of, read_store_settings
    from audience_sync.cli.output import line, print_json
    from audience_sync.store import migrate
    from audience_sync.store.engine import Store

    options = options_of(context)
    store = Store(read_store_settings(options).store)
    before = migrate.current(store)
    backup = migrate.upgrade(store)
    if options.as_json:
        print_json({"from": before, "to": migrate.HEAD, "backup": backup and str(backup)})
        return
    if before == migrate.HEAD:
        line(f"{store.label} is up to date (schema {migrate.HEAD}).")
    else:
        line(f"{store.label} is now at schema {migrate.HEAD}{f' (before: {before})' if before else ''}.")
    if backup:
        line(f"The store as it was: {backup}")


@db.command()
@common
@click.pass_context
def current(context: click.Context) -> int:
    """Say which schema the store has, and which this program knows."""
    from audience_sync.cli.compose import options_of, read_store_settings
    from audience_sync.cli.errors import FAILED, OK
    from audience_sync.cli.output import line, print_json
    from audience_sync.store import migrate
    from audience_sync.store.engine import Store

    options = options_of(context)
    store = Store(read_store_settings(options).store)
    revision = migrate.current(store)
    if options.as_json:
        print_json({"store": store.label, "schema": revision, "program": migrate.HEAD})
    else:
        state = "up to date" if revision == migrate.HEAD else "run: audience-sync db upgrade"
        line(f"{store.label}: schema {revision or 'none'}, this program's {migrate.HEAD} ({state})")
    return OK if revision == migrate.HEAD else FAILED


@db.command()
@common
@click.pass_context
def check(context: click.Context) -> int:
    """Is the store whole? The database, every snapshot's checksum, the members, and what each destination was told."""
    from audience_sync.cli.compose import options_of, read_store_settings
    from audience_sync.cli.errors import FAILED, OK
    from audience_sync.cli.output import line, print_json
    from audience_sync.store.engine import Store
    from audience_sync.store.health.examine import examine

    options = options_of(context)
    settings = read_store_settings(options)
    found = list(examine(Store(settings.store), memory_limit=settings.memory_limit))
    if options.as_json:
        print_json({"checks": [each._asdict() for each in found]})
    else:
        for each in found:
            line(f"{'ok    ' if each.good else 'FAILED'}  {each.part:<9}  {each.message}")
    return OK if all(each.good for each in found) else FAILED


@db.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@common
@click.pass_context
def backup(context: click.Context, file: Path) -> None:
    """Copy a SQLite store into FILE, as it is at one moment; runs may go on."""
    from audience_sync.cli.compose import options_of, read_store_settings
    from audience_sync.cli.output import line, print_json
    from audience_sync.store.backup import back_up
    from audience_sync.store.engine import Store

    options = options_of(context)
    size = back_up(Store(read_store_settings(options).store), file)
    if options.as_json:
        print_json({"file": str(file), "bytes": size})
        return
    line(f"Backed up to {file} ({size:,} bytes).")
    line("To restore it: put it in the place of the store while no run is at work, then: audience-sync resync")


@db.command("copy")
@click.argument("url")
@common
@click.pass_context
def copy_to(context: click.Context, url: str) -> None:
    """Move everything to another, empty store: sqlite:///new.db or postgresql://user@host/database.

    Anyone on this machine can read a command line: give an address with a password as '${NEW_STORE}', in quotes, which
    stands for the environment variable, or as '${file:/run/secrets/store}'.
    """
    from audience_sync.cli.compose import options_of, read_store_settings
    from audience_sync.cli.errors import keep_secret
    from audience_sync.cli.output import line, print_json
    from audience_sync.config.secrets import secrets_of
    from audience_sync.store.copy import copy
    from audience_sync.store.engine import Store

    options = options_of(context)
    settings = read_store_settings(options)
    keep_secret(secrets_of([url, *settings.secrets]))
    url = _store_url(url)
    keep_secret(secrets_of([url, *settings.secrets]))
    target = Store(url)
    counts = copy(Store(settings.store), target)
    if options.as_json:
        print_json({"store": target.label, "rows": counts})
        return
    line(f"Copied {sum(counts.values()):,} rows of {len(counts)} tables to {target.label}; counts and checksums agree.")
    line("Next: put the new store into the config (`store:`), then: audience-sync check")


def _store_url(text: str) -> str:
    import os
    from pathlib import Path

    from audience_sync.config.loader import read_store_url
    from audience_sync.errors import ConfigError

    try:
        return read_store_url(text, Path.cwd(), os.environ)
    except ConfigError as error:
        raise click.BadParameter("; ".join(each.message for each in error.problems), param_hint="URL") from None
