"""``audience-sync db``: upgrade, check, back up or copy the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from audience_sync.cli.base.layout import Screen, advice, labelled, prose
from audience_sync.cli.base.options import reason_option
from audience_sync.cli.base.session import Session, with_session
from audience_sync.errors import FAILED, OK
from audience_sync.text import path_text, pluralize

if TYPE_CHECKING:
    from audience_sync.project.store import StoreSchema


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
    found = session.project.upgrade_store(reason=reason)
    store, before = path_text(found.store), f" (before: {found.before})" if found.before else ""
    text = f"{store} was upgraded to schema {found.after}{before}."
    if found.before == found.after:
        text = f"{store} is up to date: schema {found.after}."
    session.answer(
        found.to_dict(),
        lambda screen: [*prose(text, screen), *labelled([("Backup", str(found.backup or ""))], screen)],
    )
    return OK


def _rehearse(session: Session, reason: str | None, plan_file: Path | None) -> int:
    from audience_sync.cli.views.rehearsal import rehearsal_lines

    if reason is not None:
        raise click.UsageError("--reason is recorded with an upgrade, and --rehearse records nothing.")
    receipt = session.project.rehearse_upgrade(plan=plan_file)
    session.answer(receipt.to_dict(), lambda screen: rehearsal_lines(receipt.found, receipt.plans, screen))
    return OK if receipt.good else FAILED


@db.command(short_help="Show the store's schema.")
@with_session
def current(session: Session) -> int:
    """Show which schema the store has, and which this program needs."""
    found = session.project.store_schema()
    session.answer(found.to_dict(), lambda screen: _current_lines(found, screen))
    return OK if found.is_current else FAILED


def _current_lines(found: StoreSchema, screen: Screen) -> list[str]:
    label, revision, needed = path_text(found.store), found.schema, found.program
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

    found = session.project.check_store()
    session.answer(found.to_dict(), lambda screen: store_check_lines(found.results, screen))
    return found.exit_code


@db.command(short_help="Copy a SQLite store into FILE.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_session
def backup(session: Session, file: Path) -> None:
    """Copy a SQLite store into FILE, consistent at one moment; runs may continue."""
    found = session.project.back_up_store(file)
    done = f"Backed up {path_text(found.store)} to {file} ({found.bytes:,} bytes)."
    restore = "To restore it, copy it over the store while no run is in progress. Then:"
    session.answer(
        found.to_dict(),
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
    found = session.project.copy_store(url, reason=reason)
    rows = pluralize(sum(found.rows.values()), "row")
    copied = f"Copied {rows} of {len(found.rows)} tables to {path_text(found.store)}. Counts and checksums match."
    shared = f"Both stores have their snapshots in {' and '.join(found.shared)}: a run of one makes the other unusable."
    switch = "Set `store:` in the config to the new store. Then:"
    session.answer(
        found.to_dict(),
        lambda screen: [
            *prose(copied, screen),
            *(prose(shared, screen) if found.shared else ()),
            "",
            *advice(switch, "audience-sync check", screen=screen),
        ],
    )
