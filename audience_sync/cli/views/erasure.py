"""Lay out the result of an erasure, and how to delete the users at each destination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from audience_sync.cli.base.layout import Screen, labelled, prose
from audience_sync.destinations.base import Destination
from audience_sync.destinations.registry import destination_types
from audience_sync.store.tables import delivery_destinations
from audience_sync.text import form, join_names, pluralize


class RemainingData(NamedTuple):
    """A destination that still has the users' data. ``deletion``: how to delete a user there."""

    name: str
    type: str
    deletion: str


def destinations_with_data(connection: Connection) -> list[RemainingData]:
    """All destinations that were ever sent calls, also those that the config no longer has."""
    types = destination_types()
    rows = connection.execute(select(delivery_destinations).order_by(delivery_destinations.c.id))
    return [
        RemainingData(row.name, row.type, getattr(types.get(row.type), "deletion", Destination.deletion))
        for row in rows
    ]


def erased_lines(
    users: int,
    known: int,
    left: Sequence[RemainingData],
    folders: Sequence[str],
    warehouses: Sequence[str],
    *,
    screen: Screen,
) -> list[str]:
    """Lay out the answer of ``erase``.

    ``known``: how many of the users the store had. ``folders``: where objects of snapshots are. ``warehouses``: sources
    that keep the last snapshots.
    """
    unknown = "" if known == users else f" ({known:,} of them in the store)"
    ids, they = ("its id", "The user is") if users == 1 else ("each id", "These users are")
    lines = [
        *prose(f"{pluralize(users, 'user')} erased{unknown}. The store keeps only a hash of {ids}.", screen),
        *prose(f"{they} neither loaded nor sent again.", screen),
    ]
    if folders:
        where = " and ".join(folders)
        lines += prose(
            f"Objects with them in {where} were replaced and deleted. A bucket that keeps versions or deleted objects "
            "still has them until its own rules remove them.",
            screen,
        )
    if warehouses:
        lines += prose(
            f"The last snapshots in {join_names(warehouses)} may have them. The next run drops those tables, and a "
            "warehouse may be able to bring dropped tables back for some days (docs/warehouse.md, Erasing).",
            screen,
        )
    if not left:
        return lines
    keep = f"{pluralize(len(left), 'destination')} still {form(len(left), 'has')} what was sent."
    delete = f"{keep} Delete the {form(users, 'user')} there as well:"
    rows = [(each.name, f"{each.type}: {each.deletion}") for each in left]
    return [*lines, "", *prose(delete, screen), *labelled(rows, screen)]
