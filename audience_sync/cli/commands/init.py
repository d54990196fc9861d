"""``audience-sync init``: create an example project in a folder."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from audience_sync.cli.base.layout import advice, command, prose
from audience_sync.cli.base.session import Session, with_session


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--sandbox", is_flag=True, help="Send to `audience-sync sandbox` instead of a file.")
@with_session
def init(session: Session, folder: Path, sandbox: bool) -> None:
    """Create a working project (config and sample data) in FOLDER; default: this folder."""
    from audience_sync.project_template import copy_project_template
    from audience_sync.sandbox.config import sandbox_destinations
    from audience_sync.text import pluralize

    created = copy_project_template(folder, destinations=sandbox_destinations() if sandbox else "")
    first = ["audience-sync sandbox"] if sandbox else []
    where, change = ("this folder", "") if folder == Path() else (str(folder), f"cd {quote(str(folder))} && ")
    session.answer(
        {"created": [str(path) for path in created]},
        lambda screen: [
            *prose(f"Created a project in {where}: {pluralize(len(created), 'file')}.", screen),
            *(command(str(path.relative_to(folder))) for path in created),
            "",
            *(advice("Next, in another terminal:", *first, screen=screen) if first else []),
            *advice("Then:" if first else "Next:", f"{change}audience-sync sync", screen=screen),
        ],
    )
