"""Write the manual page, audience-sync(1), from the commands' help and from docs/commands.md."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
from command_reference import COMMON, NO_LIMIT

from audience_sync.cli import GROUPS, group
from audience_sync.cli.base.examples import EXAMPLES
from audience_sync.version import __version__

#: The variables and files that people set, and what they are for.
VARIABLES = {
    "AUDIENCE_SYNC_CONFIG": "The config file, if --config is not given.",
    "AUDIENCE_SYNC_LOG": "json: one document a line on stderr.",
    "NO_COLOR": "No colours.",
    "TMPDIR": "The folder for temporary files.",
}
FILES = {
    "config.yaml": "The config, in the working directory unless --config names another.",
    ".env": "Variables of the config, next to it. The environment wins.",
    "audience_sync.db": "The store, unless the config names another database.",
}
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def man_page(overview: str, changelog: str) -> str:
    """The page in the man macros. ``overview``: docs/commands.md, with the exit codes. ``changelog``: with the date."""
    date = re.search(rf"^## {re.escape(__version__)} - (\S+)$", changelog, re.MULTILINE)
    context = click.Context(group, info_name="audience-sync", **group.context_settings)
    lines = [
        '.\\" Made by docs/generate.py.',
        f'.TH AUDIENCE\\-SYNC 1 "{date[1] if date else ""}" "audience\\-sync {__version__}" "User Commands"',
        ".SH NAME",
        "audience\\-sync \\- sync audiences and computed traits to messaging tools",
        ".SH SYNOPSIS",
        ".B audience\\-sync",
        "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(group.help or ""),
        ".SH OPTIONS",
        "Before or after the name of a command.",
        *_options(group, context, without=()),
        ".SH COMMANDS",
    ]
    for name in (name for commands in GROUPS.values() for name in commands):
        command = group.get_command(context, name)
        assert command is not None
        lines += _command(name, command, context)
    lines += [".SH EXIT STATUS", *_exit_codes(overview)]
    for title, described in ((".SH ENVIRONMENT", VARIABLES), (".SH FILES", FILES)):
        lines += [title, *(line for name, text in described.items() for line in _item(name, text))]
    examples = [f"audience-sync {example}" for example in EXAMPLES[""]]
    lines += [".SH EXAMPLES", ".nf", *map(_escape, examples), ".fi", ".SH SEE ALSO"]
    return "\n".join([*lines, "\\fBaudience\\-sync docs\\fR opens the documentation, without a network.", ""])


def _command(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, **command.context_settings)
    if isinstance(command, click.Group):
        for inner, each in command.commands.items():
            yield from _command(f"{name} {inner}", each, context)
        return
    yield f".SS {_escape(' '.join([name, *command.collect_usage_pieces(context)]))}"
    yield from _paragraphs(command.help or "")
    yield from _options(command, context, without=COMMON)


def _options(command: click.Command, context: click.Context, *, without: tuple[str, ...]) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and record[1] and not (without and record[0].endswith(without)):
            yield from _item(record[0], NO_LIMIT.sub("", record[1]))


def _item(name: str, text: str) -> list[str]:
    return [".TP", f"\\fB{_escape(name)}\\fR", _escape(" ".join(text.split()))]


def _paragraphs(text: str) -> Iterator[str]:
    for number, part in enumerate(part for part in text.replace("\b", "").split("\n\n") if part.strip()):
        if number:
            yield ".PP"
        yield _escape(" ".join(part.split()))


def _exit_codes(overview: str) -> Iterator[str]:
    """The rows of the table of exit codes, each with its number and its meaning."""
    table = overview.partition("## Exit codes")[2].partition("\n## ")[0]
    for code, meaning in re.findall(r"^\| (\d+) \| ([^|]*) \|", table, re.MULTILINE):
        yield from _item(code, _LINK.sub(r"\1", meaning).replace("`", ""))


def _escape(text: str) -> str:
    """The text for roff: no sign of it begins a request or an escape, and a hyphen can be copied."""
    text = text.replace("\\", "\\e").replace("`", "\\(ga").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
