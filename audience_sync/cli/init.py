"""``audience-sync init``: a working project in a folder."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.options import common


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@common
@click.pass_context
def init(context: click.Context, folder: Path) -> None:
    """Put a working project (config and sample data) into FOLDER, by default this one."""
    from audience_sync.cli.compose import options_of
    from audience_sync.cli.output import line, print_json
    from audience_sync.starter import copy_example

    created = copy_example(folder)
    if options_of(context).as_json:
        print_json({"created": [str(path) for path in created]})
        return
    for path in created:
        line(f"created {path}")
    change = "" if folder == Path() else f"cd {folder} && "
    line(f"Next: {change}audience-sync sync")
