"""Serve the dashboard: its project from the config, and who may look."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from audience_sync.cli.base.errors import masked_text, print_error, text_for_people
from audience_sync.cli.base.layout import Screen, prose
from audience_sync.cli.base.session import Session
from audience_sync.cli.wiring.web import Listener, access_of, open_socket
from audience_sync.config.models import Settings
from audience_sync.dashboard.app import dashboard_app
from audience_sync.dashboard.masks import IdMask
from audience_sync.dashboard.site import Site
from audience_sync.errors import ConfigError
from audience_sync.text import display_path, pluralize
from audience_sync.web.serve import serve

if TYPE_CHECKING:
    from audience_sync.dashboard.files import WrittenFiles

#: Of the process: where a run needs the whole machine, a page gets a quarter of one processor.
NICENESS = 5


def serve_dashboard(session: Session, listener: Listener, *, mask_ids: bool) -> None:
    """Serve the pages until Ctrl-C or SIGTERM. The process gives way to runs on this machine."""
    with suppress(OSError, AttributeError):  # Windows has no such priority
        os.nice(NICENESS)
    access = access_of(listener, cookie="audience_sync_dashboard")
    site = load_site(session, mask_ids=mask_ids)
    app = dashboard_app(site, access=access, mask=text_for_people, compiles_first=True)
    token = "It asks for the token." if access.token else "Only users of this machine can open it."

    def announce(address: str) -> None:
        if session.as_json:
            session.answer({"address": address}, lambda _: [])
        else:
            print_error(f"Dashboard: {address}\nRead-only. {token} Ctrl-C ends it.", logging.INFO)

    serve(app, open_socket(listener), announce=announce)


def write_dashboard(session: Session, folder: Path, *, show_ids: bool) -> None:
    """Write the pages as files. Ids are masked unless ``show_ids``: files are passed on."""
    from audience_sync.dashboard.files import FolderError, write_files
    from audience_sync.dashboard.store import EmptyStoreError

    try:
        written = write_files(load_site(session, mask_ids=not show_ids), folder)
    except FolderError as error:
        raise click.BadParameter(str(error), param_hint="--out") from None
    except EmptyStoreError:
        message = "There is no store yet, so there is nothing to write. The first run creates it: audience-sync sync"
        raise click.ClickException(message) from None
    document = {**asdict(written), "folder": str(written.folder), "ids": "shown" if show_ids else "masked"}
    session.answer(document, lambda screen: list(_written_lines(written, screen, show_ids=show_ids)))


def _written_lines(written: WrittenFiles, screen: Screen, *, show_ids: bool) -> Iterator[str]:
    start = display_path(str(written.folder / "index.html"))
    size = f"{written.bytes / 1_000_000:,.1f} MB"
    yield from prose(f"Wrote {pluralize(written.pages, 'page')} ({size}): {start}", screen)
    kept = [
        f"the newest {written.runs:,} of {written.all_runs:,} runs" if written.runs < written.all_runs else "all runs",
        f"the largest {written.audiences:,} of {written.all_audiences:,} audiences"
        if written.audiences < written.all_audiences
        else "all audiences",
    ]
    ids = "User ids are written in full." if show_ids else "User ids are masked; with --show-ids they are not."
    yield from prose(f"It has {kept[0]} and {kept[1]}, and no pages of users and queries. {ids}", screen)


def load_site(session: Session, *, mask_ids: bool = False) -> Site:
    """The project. Where the config lacks secrets of sources or destinations, its store is enough.

    Raises ConfigError if even the store's part has problems.
    """
    settings, problem = _settings(session)
    return Site(
        url=session.project.store_url,
        label=session.project.store_label,
        options=shlex.join(session.options),
        zone=ZoneInfo((settings and settings.timezone) or "UTC"),
        settings=settings,
        config_problem=problem,
        id_mask=IdMask() if mask_ids else None,
    )


def _settings(session: Session) -> tuple[Settings | None, str]:
    try:
        return session.project.settings, ""
    except ConfigError as error:
        return None, masked_text(str(error.problems[0]))
