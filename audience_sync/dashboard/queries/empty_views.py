"""Find the views that are empty because the store does not keep the table behind them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from audience_sync.config.models import Settings
from audience_sync.history.view_rows import read

#: By view: the option that keeps its table, and the total of what it would show.
_TABLES = {
    "audience_members": ("members_table", "select sum(members) as total from {views}audiences"),
    "trait_values": ("trait_values_table", "select sum(users) as total from {views}computed_traits"),
}
#: How one asks for the same without the table.
_INSTEAD = {
    "audience_members": "Without it: `audience-sync members KEY` lists the members of one audience.",
    "trait_values": "Without it: the page of a user and `audience-sync explain USER` show the values of one user.",
}


def empty_views(connection: Connection, settings: Settings | None) -> Mapping[str, str]:
    """Return, by view, why it has no rows although there are members or values, and what fills it.

    ``settings``: None if the config can't be loaded here; then the option alone is named.
    """
    found = {}
    for view, (option, total) in _TABLES.items():
        is_filled = read(connection, f"select 1 as found from {{views}}{view} limit 1")
        if not is_filled and read(connection, total)[0]["total"]:
            reason, remedy = _reason(option, settings)
            found[view] = f"{reason} {remedy} {_INSTEAD[view]}"
    return found


def _reason(option: str, settings: Settings | None) -> tuple[str, str]:
    fills = f"With `{option}: true` in the config the next run fills it."
    match None if settings is None else getattr(settings, option):
        case True:
            return (
                "The last run kept no table for it.",
                f"The config has `{option}: true` now, so the next run fills it.",
            )
        case False:
            return f"The config has `{option}: false`.", fills
        case int() as most:
            return f"The table is kept up to {most:,} values, users times traits (`{option}`).", fills
        case _:
            return f"The store keeps no table for it (`{option}`).", fills
