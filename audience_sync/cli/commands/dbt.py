"""``audience-sync dbt``: write what dbt reads about a project."""

from __future__ import annotations

from pathlib import Path

import click

from audience_sync.cli.base.session import Session, with_session


@click.group()
def dbt() -> None:
    """Write dbt exposures, so that lineage ends at the destinations."""


@dbt.command(short_help="Write dbt exposures, so that lineage ends at the destinations.")
@click.option(
    "--owner",
    default="Audience Sync",
    show_default=True,
    metavar="OWNER",
    help="Who owns the exposures: a name, an e-mail address, or `Growth <growth@example.com>`.",
)
@with_session
def exposures(session: Session, owner: str) -> None:
    """Write dbt exposures as YAML: one for each destination, with the models (`dbt_model`) of what it receives.

    Its variables need not be set, so that it runs where dbt runs.
    """
    from audience_sync.dbt.exposures import exposures_text

    text = exposures_text(Path(session.config), session.environment, owner)
    if session.as_json:
        import yaml

        session.answer(yaml.safe_load(text), lambda screen: [])
    else:
        click.echo(text, nl=False)
