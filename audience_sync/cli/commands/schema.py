"""``audience-sync schema``: print the JSON Schema of the config, for editors."""

from __future__ import annotations

import click

from audience_sync.cli.base.output import write
from audience_sync.cli.base.session import Session, with_session


@click.command()
@with_session
def schema(session: Session) -> None:
    """Print the JSON Schema of config.yaml, with the installed types of destinations.

    An editor completes and checks a config that names it in its first line, as `init` writes it.
    """
    del session  # the schema is the same for every project
    write([config_schema().removesuffix("\n")])


def config_schema() -> str:
    """The schema of a config, whose destinations may be of any installed type."""
    from audience_sync.config.json_schema import schema_text
    from audience_sync.destinations.registry import destination_types

    types = destination_types()
    return schema_text({name: types[name].Options for name in sorted(types)})
