"""Write a page for each command from its help; a page with more text of its own gets the options at its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from audience_sync.cli import COMMANDS, group
from audience_sync.cli.base.examples import EXAMPLES

BEGINS = "<!-- From here on made by docs/generate.py from the command's help. -->"

#: The options of every command, which the overview has.
COMMON = ("--config FILE", "--env NAME", "--json", "-v, --verbose", "--help")
#: How click shows the range of a number that only has to be positive.
NO_LIMIT = re.compile(r"\[\d+<=x<=2147483647\]")


def command_pages(folder: Path) -> dict[str, str]:
    """The page of each command by file name. ``folder``: the present pages, whose own text stays."""
    context = click.Context(group, info_name="audience-sync", **group.context_settings)
    return {f"{name}.md": _page(name, context, folder / f"{name}.md") for name in COMMANDS}


def _page(name: str, context: click.Context, file: Path) -> str:
    command = group.get_command(context, name)
    assert command is not None
    own = file.read_text("utf-8").partition(BEGINS)[0].strip() if file.exists() else ""
    opening = own or f"# audience-sync {name}\n\n{_text(command)}"
    return "\n".join([opening, "", BEGINS, "", "## All options", "", *_reference(command, name, context), ""])


def _reference(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """How a command is called, and its options; those of a group's commands one after another."""
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, **command.context_settings)
    if isinstance(command, click.Group):
        for inner, each in command.commands.items():
            yield from (f"### {name} {inner}", "", _text(each), "")
            yield from _reference(each, f"{name} {inner}", context)
        return
    yield from ("```", f"audience-sync {name} {' '.join(command.collect_usage_pieces(context))}", "```", "")
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [record for record in records if record and record[1] and not record[0].endswith(COMMON)]
    if rows:
        yield from ("| option | what it does |", "|---|---|")
        yield from (f"| `{option}` | {_cell(text)} |" for option, text in rows)
        yield ""
    yield from ("```", *(f"audience-sync {example}" for example in EXAMPLES[name]), "```", "")
    if " " not in name:
        yield "`--config`, `--env`, `--json` and `-v` are [options of every command](../commands.md)."


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", NO_LIMIT.sub("", text)).replace("|", "\\|").strip()


def _text(command: click.Command) -> str:
    """The paragraphs of a command's help."""
    paragraphs = (command.help or "").replace("\b", "").split("\n\n")
    return "\n\n".join(re.sub(r"\s+", " ", part).strip() for part in paragraphs if part.strip())
