"""The ``audience-sync`` command. Each subcommand is a module, imported when it is called."""

from __future__ import annotations

import gc
import importlib
import signal
import sys
from typing import Any

import click

from audience_sync import __version__

#: New objects before Python looks for cycles among them. A run makes millions of calls and no cycles: with the 700
#: that Python looks after, it spends half of the time on looking.
YOUNG = 100_000

#: Name -> (module and command, the line in ``--help``), in the order in which people meet them.
COMMANDS = {
    "init": ("init:init", "Put a working project (config and sample data) into a folder."),
    "check": ("check:check", "Config, sources, store and destinations, one line each."),
    "plan": ("plan:plan", "What `sync` would do; changes nothing."),
    "sync": ("sync:sync", "One run: load, diff, deliver."),
    "schedule": ("schedule:schedule", "Stay, and run by the schedules of the config."),
    "approve": ("decide:approve", "Let through what a run held."),
    "reject": ("decide:reject", "Drop what a run held."),
    "seed": ("seed:seed", "Tell a new audience for the first time, by hand."),
    "resync": ("resync:resync", "Tell a destination everything again."),
    "undo": ("undo:undo", "Take back what a run changed."),
    "freeze": ("freeze:freeze", "Leave an audience as it is for now."),
    "unfreeze": ("freeze:unfreeze", "Take a frozen audience up again."),
    "retire": ("retire:retire", "Take an audience or computed trait back everywhere, and close its key for good."),
    "retry": ("retry:retry", "Send refused calls again, with the newest values."),
    "suppress": ("suppress:suppress", "Never send anything to these users."),
    "unsuppress": ("suppress:unsuppress", "Send to these users again."),
    "erase": ("suppress:erase", "Remove users from the store, for good."),
    "history": ("history:history", "The last runs."),
    "show": ("show:show", "One run in full."),
    "explain": ("explain:explain", "One user: what is known, told, answered and owed."),
    "members": ("members:members", "The members of an audience, as CSV or JSON lines."),
    "test-destination": ("test_destination:test_destination", "One real call, with request and response shown."),
    "db": ("db:db", "The store: upgrade, current, check, backup, copy."),
}


class LazyGroup(click.Group):
    """Knows the subcommands' names; imports one when it is run, or its own help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"audience_sync.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


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
)
@click.option("--env", "environment", metavar="NAME", help="Take this part of the config's `environments`.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
@click.pass_context
def group(context: click.Context, /, **options: Any) -> None:
    """Turn audiences and computed traits into live user properties.

    Everyone the first time, only the changes afterwards.
    """
    from audience_sync.cli.options import GlobalOptions

    context.obj = GlobalOptions(**options)


def main() -> None:
    """Run the command and exit with its code (docs/commands.md)."""
    if "schedule" in sys.argv[1:]:  # until it can read its config again, SIGHUP is none that ends it
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from audience_sync.cli.errors import run
    from audience_sync.cli.stopping import stop_within
    from audience_sync.cli.streams import set_up_streams

    set_up_streams()
    gc.set_threshold(YOUNG)
    stop_within()
    raise SystemExit(run(group))
