"""``audience-sync completion``: print or install the script that completes commands in a shell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from audience_sync.cli.base.completion import VARIABLE
from audience_sync.cli.base.layout import advice, prose
from audience_sync.cli.base.session import Session, with_session
from audience_sync.command_line import PROGRAM

SHELLS = ("bash", "zsh", "fish")
_ZSH = "If zsh does not look there, add this line to ~/.zshrc, before `compinit`:"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--install", is_flag=True, help="Write the script to the file where the shell looks for it.")
@with_session
def completion(session: Session, shell: str, install: bool) -> None:
    """Print the script that completes commands, keys, runs and destinations in SHELL, or install it.

    Keys and destinations come from the config, runs and other keys from a SQLite store. User ids are not completed.
    """
    script = _script(shell)
    if not install:
        click.echo(script, nl=False)
        return
    file = script_file(shell, os.environ)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(script, "utf-8")
    session.answer(
        {"shell": shell, "file": str(file)},
        lambda screen: [
            *prose(f"Installed: {file}", screen),
            *(advice(_ZSH, f"fpath=({file.parent} $fpath)", screen=screen) if shell == "zsh" else []),
            *prose("It works in every new shell.", screen),
        ],
    )


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    from audience_sync.cli.base.bash_completion import register

    register()
    kind = get_completion_class(shell)
    assert kind is not None
    found = kind(click.Command(PROGRAM), {}, PROGRAM, VARIABLE)
    return found.source_template % found.source_vars()


def script_file(shell: str, variables: Mapping[str, str]) -> Path:
    """The file in which a shell looks for a person's completions of this program."""
    home = Path(variables.get("HOME") or Path.home())
    data = Path(variables.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(variables.get("XDG_CONFIG_HOME") or home / ".config")
    match shell:
        case "bash":
            return data / "bash-completion" / "completions" / PROGRAM
        case "zsh":
            return data / "zsh" / "site-functions" / f"_{PROGRAM}"
        case _:
            return config / "fish" / "completions" / f"{PROGRAM}.fish"
