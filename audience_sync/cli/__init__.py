"""The ``audience-sync`` command, which imports the module of a subcommand when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from audience_sync.cli.base.completion import VARIABLE, answer_shell, complete_config_files, complete_environments
from audience_sync.text import nearest
from audience_sync.version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: The groups of ``--help``: name -> (module and command, one sentence), in the order in which people meet them.
GROUPS = {
    "Start": {
        "init": ("init:init", "Create an example project."),
        "check": ("check:check", "Check config, sources, store and destinations."),
        "plan": ("plan:plan", "Show what sync would do. Changes nothing."),
        "sync": ("sync:sync", "Load, diff and deliver once."),
        "schedule": ("schedule:schedule", "Run on the config's schedules until stopped."),
        "serve": ("serve:serve", "Trigger runs, plan and look over HTTP."),
        "docs": ("docs:docs", "Open the documentation, without a network."),
        "schema": ("schema:schema", "Print the JSON Schema of the config, for editors."),
    },
    "First sends and repairs": {
        "seed": ("seed:seed", "Send a new audience to all destinations, by hand."),
        "resync": ("resync:resync", "Send everything again, false for former members included."),
        "retry": ("retry:retry", "Send refused calls again with the newest values."),
        "undo": ("undo:undo", "Reverse what a run changed."),
        "retire": ("retire:retire", "Send false to all members and close the key for good."),
    },
    "Decisions": {
        "approve": ("approve_reject:approve", "Let a held snapshot pass."),
        "reject": ("approve_reject:reject", "Drop a held snapshot."),
        "freeze": ("freeze:freeze", "Skip an audience until it is unfrozen."),
        "unfreeze": ("freeze:unfreeze", "Sync a frozen audience again."),
    },
    "Users": {
        "explain": ("explain:explain", "Show one user: values, calls, answers, pending."),
        "members": ("members:members", "List the members of an audience."),
        "suppress": ("suppress:suppress", "Never send anything to these users."),
        "unsuppress": ("suppress:unsuppress", "Send to these users again."),
        "erase": ("suppress:erase", "Delete users from the store for good."),
    },
    "History and store": {
        "status": ("status:status", "Show what needs a person, and the commands."),
        "history": ("history:history", "List the last runs."),
        "show": ("show:show", "Show one run in full."),
        "dashboard": ("dashboard:dashboard", "Look at the store in the browser."),
        "test-destination": (
            "destination_test:test_destination",
            "Send one real call and show request and answer.",
        ),
        "sandbox": ("sandbox:sandbox", "Receive calls and show them in the browser."),
        "db": ("db:db", "Upgrade, check, back up or copy the store."),
        "dbt": ("dbt:dbt", "Write dbt exposures of the destinations."),
        "completion": ("completion:completion", "Complete keys, runs and destinations in the shell."),
    },
}
_WINDOWS = "error: Audience Sync runs on Linux. On Windows, install and run it in WSL 2: wsl --install"
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


class LazyGroup(click.Group):
    """A group that imports a command only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        from audience_sync.cli.base.examples import with_examples

        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"audience_sync.cli.commands.{module}"), name)
        return with_examples(command, cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin with the text; no command is imported for that."""
        from click.shell_completion import CompletionItem

        if ctx.args or getattr(ctx, "_protected_args", []):  # after a word that is not a command
            return []
        texts = {name: text for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)}
        commands = [CompletionItem(name, help=text) for name, text in texts.items()]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            meant = nearest(args[0], COMMANDS)
            raise click.UsageError(
                f"there is no command `{args[0]}`." + (f" Did you mean `{meant}`?" if meant else ""), ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        longest = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            formatter.write_paragraph()
            formatter.write(f"{title}\n")
            with formatter.indentation():
                formatter.write_dl([(name.ljust(longest), text) for name, (_, text) in commands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from audience_sync.cli.base.examples import examples

        formatter.write_paragraph()
        formatter.write_text(examples(""))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="audience-sync")
@click.option(
    "--config",
    "config",
    envvar="AUDIENCE_SYNC_CONFIG",
    default="config.yaml",
    show_default=True,
    metavar="FILE",
    help="The config file.",
    shell_complete=complete_config_files,
)
@click.option(
    "--env",
    "environment",
    metavar="NAME",
    help="Use this part of the config's `environments`.",
    shell_complete=complete_environments,
)
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
@click.option("-v", "--verbose", is_flag=True, help="Log more on stderr.")
@click.pass_context
def group(context: click.Context, /, **options: Any) -> None:
    """Sync audiences and computed traits to your destinations: all users first, then only the changes."""
    from audience_sync.cli.base.session import Session

    context.obj = Session(**options)


def main() -> None:
    """Run the command and exit with its code (docs/commands.md), or answer a shell that completes a command line."""
    if os.name == "nt":  # Python's modules for file locks and limits do not exist there
        print(_WINDOWS, file=sys.stderr)
        raise SystemExit(2)
    if VARIABLE in os.environ:
        raise SystemExit(answer_shell(group))
    if "schedule" in sys.argv[1:]:  # until the scheduler handles SIGHUP, it must not end the process
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from audience_sync.cli.base.process import collect_garbage_rarely, end_quickly, set_up_streams

    set_exit_code = end_quickly()
    from audience_sync.cli.base.errors import run
    from audience_sync.cli.base.shutdown import stop_within

    set_up_streams()
    collect_garbage_rarely()
    stop_within()
    code = run(group)
    set_exit_code(code)
    raise SystemExit(code)
