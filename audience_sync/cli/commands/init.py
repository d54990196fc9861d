"""``audience-sync init``: create an example project in a folder, or one for a dbt project."""

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
@click.option(
    "--from-dbt",
    "manifest",
    type=click.Path(path_type=Path),
    metavar="MANIFEST",
    help="Write a config for the models that have `meta.audience_sync`: target/manifest.json, or dbt's project folder.",
)
@with_session
def init(session: Session, folder: Path, sandbox: bool, manifest: Path | None) -> None:
    """Create a working project (config and sample data) in FOLDER; default: this folder.

    With a schema for editors, and a .gitignore for what must not be committed.
    """
    if manifest is not None:
        if sandbox:
            raise click.UsageError("--sandbox and --from-dbt exclude each other: the example has its own data")
        _init_from_dbt(session, folder, manifest)
        return
    from audience_sync.cli.commands.schema import config_schema
    from audience_sync.project_template import GITIGNORE, IGNORED, copy_project_template
    from audience_sync.sandbox.config import ADDRESS, sandbox_destinations
    from audience_sync.text import pluralize

    destinations = sandbox_destinations() if sandbox else ""
    created = copy_project_template(folder, destinations=destinations, schema=config_schema())
    where, change = ("this folder", "") if folder == Path() else (str(folder), f"cd {quote(str(folder))} && ")

    def lines(screen: Screen) -> Iterator[str]:
        own = replace(screen, options="")  # the new project is that of its folder
        yield from prose(f"Created a project in {where}: {pluralize(len(created), 'file')}.", own)
        yield from (f"{INDENT}{path.relative_to(folder)}" for path in created)
        if folder / GITIGNORE not in created:
            yield from prose(f"{folder / GITIGNORE} is unchanged. Add to it: {', '.join(IGNORED)}", own)
        yield ""
        if sandbox:
            yield from advice("Next, in another terminal:", "audience-sync sandbox", screen=own)
        then = f"Open {ADDRESS} in the browser. Then:" if sandbox else "Next:"
        yield from advice(then, f"{change}audience-sync sync", screen=own)

    session.answer({"created": [str(path) for path in created]}, lines)


def _init_from_dbt(session: Session, folder: Path, manifest_path: Path) -> None:
    """Write the config for a dbt project; if there is one, show the entries that it lacks."""
    from audience_sync.cli.commands.schema import config_schema
    from audience_sync.dbt.config_text import VARIABLE, entries_text, lacking, warehouse_of, write_config
    from audience_sync.dbt.manifest import find_manifest, read_manifest
    from audience_sync.project_template import CONFIG, MODELINE, write_new_config, write_next_to_config
    from audience_sync.text import pluralize

    path, config = find_manifest(manifest_path), folder / CONFIG
    manifest = read_manifest(path)
    if config.exists():
        missing = lacking(manifest, config)
        count = len(missing.audiences) + len(missing.computed_traits)

        def differences(screen: Screen) -> Iterator[str]:
            if not count:
                yield from prose(f"{config} has every entry of {path}. Nothing was written.", screen)
                return
            lacks = f"{config} exists and was not changed. It lacks {pluralize(count, 'entry')} of {path}:"
            yield from prose(lacks, screen)
            yield from entries_text(missing).rstrip("\n").splitlines()

        parts = {"audiences": list(missing.audiences), "computed_traits": list(missing.computed_traits)}
        session.answer({"created": [], "missing": parts}, differences)
        return
    text = write_config(manifest, path.parent, folder)
    write_new_config(config, f"{MODELINE}{text}")
    created = [config, *write_next_to_config(folder, config_schema())]
    warehouse = warehouse_of(manifest, path.parent.parent, folder)
    change = "" if folder == Path() else f"cd {quote(str(folder))} && "

    def lines(screen: Screen) -> Iterator[str]:
        own = replace(screen, options="")
        yield from prose(f"Created {config} from {path}: {pluralize(len(manifest.marked), 'model')}.", own)
        yield ""
        if warehouse.extra:
            yield from advice("Install its driver:", f"pip install 'audience-sync[{warehouse.extra}]'", screen=own)
        if not warehouse.is_complete:
            where = "Fill in the address, as in profiles.yml, here or in a file .env next to the config:"
            yield from advice(where, f"export {VARIABLE}='{warehouse.url}'", screen=own)
        yield from advice("Then:", f"{change}audience-sync check", screen=own)

    session.answer(
        {"created": [str(each) for each in created], "missing": {"audiences": [], "computed_traits": []}}, lines
    )
