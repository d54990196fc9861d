"""``audience-sync init``: create an example project in a folder."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from audience_sync.cli.base.options import common_options


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@common_options
@click.pass_context
def init(context: click.Context, folder: Path) -> None:
    """Put a working project (config and sample data) into FOLDER, by default this one."""
    from audience_sync.cli.base.layout import command, prose
    from audience_sync.cli.base.output import print_json, screen, write
    from audience_sync.cli.wiring.dependencies import options_of
    from audience_sync.project_template import copy_project_template
    from audience_sync.text import pluralize

    created = copy_project_template(folder)
    if options_of(context).as_json:
        print_json({"created": [str(path) for path in created]})
        return
    where = "this folder" if folder == Path() else str(folder)
    outcome = prose(f"Created a project in {where}: {pluralize(len(created), 'file')}.", screen())
    files = [command(str(path.relative_to(folder))) for path in created]
    change = "" if folder == Path() else f"cd {quote(str(folder))} && "
    write([*outcome, *files, "", "Next:", command(f"{change}audience-sync sync")])
