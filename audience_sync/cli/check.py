"""``audience-sync check``: is everything in place? One line each, and the next command where it isn't."""

from __future__ import annotations

import click

from audience_sync.cli.options import common


@click.command()
@click.option(
    "--notify", is_flag=True, help="Send everyone who is told of alerts (`notify`) a message, and call `ping`."
)
@common
@click.pass_context
def check(context: click.Context, notify: bool) -> int:
    """Config, sources, store and destinations, one line each. Changes nothing, and sends users nothing."""
    from audience_sync.cli.checks import check_config, check_everything, check_notify
    from audience_sync.cli.compose import options_of
    from audience_sync.cli.errors import FAILED, OK, USAGE
    from audience_sync.cli.output import line, print_json

    options = options_of(context)
    settings, lines = check_config(options)
    if settings:
        lines += check_everything(settings)
        lines += check_notify(settings) if notify else []
    if options.as_json:
        print_json({"checks": [each.as_json() for each in lines]})
    else:
        for each in lines:
            line(each.text)
    if all(each.good for each in lines):
        return OK
    return USAGE if any(each.part == "config" and not each.good for each in lines) else FAILED
