"""``audience-sync init``: a working project in a folder."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
def init(folder: Path) -> None:
    """Put a working project (config and sample data) into FOLDER, by default this one."""
    from audience_sync.cli.output import line
    from audience_sync.starter import copy_example

    for path in copy_example(folder):
        line(f"created {path}")
    change = "" if folder == Path() else f"cd {folder} && "
    line(f"Next: {change}audience-sync sync")
