"""Lay out the result of an erasure, and how to delete the users at each destination."""

from __future__ import annotations

from audience_sync.cli.base.layout import Screen, labelled, prose
from audience_sync.project.users import Erased
from audience_sync.text import form, join_names, pluralize


def erased_lines(found: Erased, screen: Screen) -> list[str]:
    """Lay out the answer of ``erase``."""
    users, known, left = found.erased, found.known, found.destinations
    unknown = "" if known == users else f" ({known:,} of them in the store)"
    ids, they = ("its id", "The user is") if users == 1 else ("each id", "These users are")
    lines = [
        *prose(f"{pluralize(users, 'user')} erased{unknown}. The store keeps only a hash of {ids}.", screen),
        *prose(f"{they} neither loaded nor sent again.", screen),
    ]
    if found.state:
        where = " and ".join(found.state)
        lines += prose(
            f"Objects with them in {where} were replaced and deleted. A bucket that keeps versions or deleted objects "
            "still has them until its own rules remove them.",
            screen,
        )
    if found.warehouses:
        lines += prose(
            f"The last snapshots in {join_names(found.warehouses)} may have them. The next run drops those tables, and "
            "a warehouse may be able to bring dropped tables back for some days (docs/warehouse.md, Erasing).",
            screen,
        )
    if not left:
        return lines
    keep = f"{pluralize(len(left), 'destination')} still {form(len(left), 'has')} what was sent."
    delete = f"{keep} Delete the {form(users, 'user')} there as well:"
    rows = [(each.name, f"{each.type}: {each.deletion}") for each in left]
    return [*lines, "", *prose(delete, screen), *labelled(rows, screen)]
