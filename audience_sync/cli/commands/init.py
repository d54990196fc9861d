"""``audience-sync init``: create an example project in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import click
from msgspec.structs import replace

from audience_sync.cli.base.layout import INDENT, Screen, advice, prose
from audience_sync.cli.base.session import Session, with_session


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--sandbox", is_flag=True, help="Send to `audience-sync sandbox` instead of a file.")
@with_session
def init(session: Session, folder: Path, sandbox: bool) -> None:
    """Create a working project (config and sample data) in FOLDER; default: this folder."""
    from audience_sync.project_template import copy_project_template
    from audience_sync.sandbox.config import ADDRESS, sandbox_destinations
    from audience_sync.text import pluralize

    created = copy_project_template(folder, destinations=sandbox_destinations() if sandbox else "")
    where, change = ("this folder", "") if folder == Path() else (str(folder), f"cd {quote(str(folder))} && ")

    def lines(screen: Screen) -> Iterator[str]:
        own = replace(screen, options="")  # the new project is that of its folder
        yield from prose(f"Created a project in {where}: {pluralize(len(created), 'file')}.", own)
        yield from (f"{INDENT}{path.relative_to(folder)}" for path in created)
        yield ""
        if sandbox:
            yield from advice("Next, in another terminal:", "audience-sync sandbox", screen=own)
        then = f"Open {ADDRESS} in the browser. Then:" if sandbox else "Next:"
        yield from advice(then, f"{change}audience-sync sync", screen=own)

    session.answer({"created": [str(path) for path in created]}, lines)
