"""``audience-sync show RUN``: one run in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from audience_sync.cli.options import common
from audience_sync.wording import plural

#: Refused calls and rejected rows that are shown; the views have them all.
MOST_ROWS = 50
#: Users that are shown of a held snapshot's; the JSON answer has up to a hundred each way.
MOST_SAMPLED = 5
#: Title, view and columns of each part.
TABLES = (
    (
        "Audiences",
        "audience_syncs",
        "audience_key status members_before members_after entered left invalid absent returned held_out error",
    ),
    ("Holds", "holds", "run key status members_before entered left ended_run would"),
    ("Deliveries", "deliveries", "destination calls delivered refused pending requests retries seconds error"),
    ("Refused calls", "refusals", "destination user_id reason http_status outcome accepted_run"),
    ("Rejected rows", "rejected_rows", "audience_key file row user_id reason"),
)
#: What `retention` lets go of, in the words of an answer.
FORGOTTEN = {
    "changes": "changes that later ones replaced",
    "requests": "requests",
    "rejected_rows": "rejected rows",
    "runs": "what the run found and delivered",
}


@click.command()
@click.argument("run", type=int)
@common
@click.pass_context
def show(context: click.Context, run: int) -> None:
    """One run in full, with refused calls and rejected rows and their reasons."""
    from audience_sync.cli.compose import options_of, read_store_settings, store_to_read
    from audience_sync.cli.output import print_json
    from audience_sync.history.runs import one_run

    options = options_of(context)
    with store_to_read(read_store_settings(options).store) as store, store.reading() as connection:
        found = one_run(connection, run)
    if options.as_json:
        print_json(found)
    else:
        _print(found)


def _print(run: Mapping[str, Any]) -> None:
    from audience_sync.cli.output import line
    from audience_sync.cli.output import show as shown

    seconds = "" if run["seconds"] is None else f" in {run['seconds']:.1f} s"
    line(f"Run {run['run']} ({run['command']}) {run['status']}, started {shown(run['started_at'])} UTC{seconds}")
    if run["error"]:
        line(f"error: {run['error']}")
    run = {**run, "holds": [{**hold, "would": _such_as(hold)} for hold in run["holds"]]}
    for title, view, columns in TABLES:
        _table(title, view, columns.split(), run[view])
    if run["no_longer_kept"]:
        gone = ", ".join(FORGOTTEN[each] for each in run["no_longer_kept"])
        line(f"\nNo longer kept (`retention`): {gone}.")
    line(f"Computed traits: {plural(run['trait_users_changed'], 'user')} with changes.")


def _such_as(hold: Mapping[str, Any]) -> str:
    """Some of the users whom it would change."""
    lost = "leave" if hold["kind"] == "audience" else "lose it"
    found = []
    for way, word in (("entered", "enter"), ("left", lost)):
        users = hold["sample"][way][:MOST_SAMPLED]
        more = hold[way] - len(users)
        if users:
            found.append(f"{word}: {', '.join(users)}" + (f" and {more:,} more" if more else ""))
    return "; ".join(found)


def _table(title: str, view: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    from audience_sync.cli.output import line, print_columns

    if not rows:
        return
    line(f"\n{title}")
    right = {name for row in rows for name in names if type(row[name]) in (int, float)}
    columns = {name: (name.replace("_", " "), "right" if name in right else "left") for name in names}
    print_columns(columns, rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        line(f"... and {len(rows) - MOST_ROWS:,} more: select * from {view} where run = {rows[0]['run']}")
