"""``audience-sync db``: upgrade, check, back up or copy the store."""

from __future__ import annotations

import os
from pathlib import Path

import click

from audience_sync.cli.base.errors import add_secrets
from audience_sync.cli.base.layout import Screen, advice, labelled, prose
from audience_sync.cli.base.options import reason_option
from audience_sync.cli.base.output import path_text
from audience_sync.cli.base.session import Session, with_session
from audience_sync.errors import FAILED, OK


@click.group()
def db() -> None:
    """Upgrade, check, back up or copy the store."""


@db.command(short_help="Bring the store's schema up to date.")
@reason_option
@click.option("--rehearse", is_flag=True, help="Upgrade a copy, and compare it with the store. Changes nothing.")
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --rehearse: a plan that the version before has saved, to compare with.",
)
@with_session
def upgrade(session: Session, *, reason: str | None, rehearse: bool, plan_file: Path | None) -> int:
    """Bring the store's schema up to date; a SQLite store is backed up first.

    With --rehearse it does so on a copy, and prints a receipt: rows, checksums, calls that would be sent, time, space.
    """
    if rehearse:
        return _rehearse(session, reason, plan_file)
    if plan_file is not None:
        raise click.UsageError("--plan is for --rehearse. Nothing was done.")
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance import migrate
    from audience_sync.store.runs.decisions import stored_reason

    settings = session.settings_to_write()
    store = Store(settings.store)
    before = migrate.current(store)
    backup = migrate.upgrade(store, reason=stored_reason(reason, settings.secrets))
    text = f"{path_text(store.label)} was upgraded to schema {migrate.HEAD}{f' (before: {before})' if before else ''}."
    if before == migrate.HEAD:
        text = f"{path_text(store.label)} is up to date: schema {migrate.HEAD}."
    session.answer(
        {"from": before, "to": migrate.HEAD, "backup": backup and str(backup)},
        lambda screen: [*prose(text, screen), *labelled([("Backup", str(backup or ""))], screen)],
    )
    return OK


def _rehearse(session: Session, reason: str | None, plan_file: Path | None) -> int:
    from audience_sync.cli.views.rehearsal import rehearsal_json, rehearsal_lines
    from audience_sync.cli.wiring.plan_file import read_plan
    from audience_sync.cli.wiring.rehearsal import rehearse_upgrade

    if reason is not None:
        raise click.UsageError("--reason is recorded with an upgrade, and --rehearse records nothing.")
    found, plans = rehearse_upgrade(session, None if plan_file is None else read_plan(plan_file))
    session.answer(rehearsal_json(found, plans), lambda screen: rehearsal_lines(found, plans, screen))
    return OK if found.is_good and not plans.differences else FAILED


@db.command(short_help="Show the store's schema.")
@with_session
def current(session: Session) -> int:
    """Show which schema the store has, and which this program needs."""
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance import migrate

    store = Store(session.store_settings().store)
    revision = migrate.current(store)
    session.answer(
        {"store": store.label, "schema": revision, "program": migrate.HEAD},
        lambda screen: _current_lines(path_text(store.label), revision, migrate.HEAD, screen),
    )
    return OK if revision == migrate.HEAD else FAILED


def _current_lines(label: str, revision: str | None, needed: str, screen: Screen) -> list[str]:
    if revision == needed:
        return prose(f"{label} is up to date: schema {needed}.", screen)
    if revision is None:
        text = f"{label} has no schema yet. The first run of a SQLite store creates it. To create it now:"
    elif revision > needed:
        text = f"{label} has schema {revision}, made by a newer version. This program needs {needed}."
        return [*prose(text, screen), *prose("Install the newer version of audience-sync.", screen)]
    else:
        text = f"{label} has schema {revision}. This program needs {needed}. To upgrade it:"
    return advice(text, "audience-sync db upgrade", screen=screen)


@db.command(short_help="Check the store for damage.")
@with_session
def check(session: Session) -> int:
    """Check the database, every snapshot's checksum, the members, and the position of each destination."""
    from audience_sync.cli.views.checks import store_check_lines
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.integrity.check_store import check_store

    settings = session.store_settings()
    found = list(check_store(Store(settings.store), memory_limit=settings.memory_limit))
    session.answer({"checks": [each._asdict() for each in found]}, lambda screen: store_check_lines(found, screen))
    return OK if all(each.good for each in found) else FAILED


@db.command(short_help="Copy a SQLite store into FILE.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_session
def backup(session: Session, file: Path) -> None:
    """Copy a SQLite store into FILE, consistent at one moment; runs may continue."""
    from audience_sync.config.validate.shared_files import FileUse
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance.backup import back_up

    settings = session.settings_to_write([FileUse(option="FILE", path=str(file), is_written=True)])
    store = Store(settings.store)
    size = back_up(store, file, settings.memory_limit)
    done = f"Backed up {path_text(store.label)} to {file} ({size:,} bytes)."
    restore = "To restore it, copy it over the store while no run is in progress. Then:"
    session.answer(
        {"file": str(file), "bytes": size},
        lambda screen: [*prose(done, screen), *advice(restore, "audience-sync resync", screen=screen)],
    )


@db.command("copy", short_help="Move everything to another store.")
@click.argument("url")
@reason_option
@with_session
def copy_to(session: Session, url: str, reason: str | None) -> None:
    """Move everything to another, empty store: sqlite:///new.db or postgresql://user@host/database.

    Anyone on this machine can read a command line: give an address with a password as '${NEW_STORE}', in quotes, which
    stands for the environment variable, or as '${file:/run/secrets/store}'.
    """
    from audience_sync.config.loader import read_store_url
    from audience_sync.config.validate.shared_files import database_uses
    from audience_sync.errors import ConfigError
    from audience_sync.redaction.secrets import collect_secrets, passwords_in_url
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.maintenance.copy import copy_store
    from audience_sync.store.maintenance.state import stored_folders
    from audience_sync.store.runs.decisions import Decision, stored_reason
    from audience_sync.text import pluralize

    add_secrets(passwords_in_url(url))
    try:
        address = read_store_url(url, Path.cwd(), os.environ)
    except ConfigError as error:
        raise click.BadParameter("; ".join(each.message for each in error.problems), param_hint="URL") from None
    add_secrets(passwords_in_url(address) if address == url else collect_secrets([address]))
    settings = session.settings_to_write(list(database_uses("URL", address, is_written=True)))
    source, target = Store(settings.store), Store(address)
    decision = Decision("db copy", f"from {source.label}", stored_reason(reason, settings.secrets))
    counts = copy_store(source, target, decision)
    with target.reading() as connection:
        folders = stored_folders(connection)
    rows = pluralize(sum(counts.values()), "row")
    copied = f"Copied {rows} of {len(counts)} tables to {path_text(target.label)}. Counts and checksums match."
    shared = f"Both stores have their snapshots in {' and '.join(folders)}: a run of one makes the other unusable."
    switch = "Set `store:` in the config to the new store. Then:"
    session.answer(
        {"store": target.label, "rows": counts},
        lambda screen: [
            *prose(copied, screen),
            *(prose(shared, screen) if folders else ()),
            "",
            *advice(switch, "audience-sync check", screen=screen),
        ],
    )
