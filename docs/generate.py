"""Write the generated documents: `python docs/generate.py`.

docs/configuration.md and docs/config.schema.json come from the config's models, docs/recipes/metadata.yaml from the
store's tables and docs/database.md, docs/python-reference.md from docstrings, and the manual page and the options in
docs/commands from the commands' help.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from command_reference import command_pages
from config_reference import reference_markdown
from datasette_metadata import datasette_metadata
from man_page import man_page
from python_reference import python_reference

from audience_sync.config.json_schema import json_schema, schema_text
from audience_sync.destinations.registry import destination_types
from audience_sync.store.tables import metadata

FOLDER = Path(__file__).parent
NOTE = "<!-- Made by docs/generate.py from configuration.template.md and the config's models. -->\n\n"
#: The destinations of this package; the reference leaves out other installed ones.
OURS = (
    *("amplitude", "braze", "customerio", "file", "hubspot", "iterable", "mixpanel", "onesignal", "posthog"),
    *("rudderstack", "segment", "webhook", "zendesk_connect"),
)


def generated() -> Mapping[str, str]:
    """The documents by file name."""
    types = destination_types()
    options = {name: types[name].Options for name in OURS}
    schema = json_schema(options)
    template = (FOLDER / "configuration.template.md").read_text("utf-8")
    overview = (FOLDER / "commands.md").read_text("utf-8")
    questions = (FOLDER / "database.md").read_text("utf-8")
    return {
        "config.schema.json": schema_text(options),
        "configuration.md": NOTE + reference_markdown(schema, template),
        "man/audience-sync.1": man_page(overview, (FOLDER.parent / "CHANGELOG.md").read_text("utf-8")),
        "python-reference.md": python_reference(),
        "recipes/metadata.yaml": datasette_metadata(questions, [*metadata.tables, "alembic_version"]),
        **{f"commands/{name}": text for name, text in command_pages(FOLDER / "commands").items()},
    }


if __name__ == "__main__":
    for name, text in generated().items():
        (FOLDER / name).write_text(text, "utf-8")
