"""Lay out the receipt of a rehearsed upgrade: what it would change, what was compared, how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from audience_sync.cli.base.layout import Column, Screen, advice, joined, labelled, printable, prose, table
from audience_sync.text import join_names, listed, path_text, pluralize, seconds_text

if TYPE_CHECKING:
    from audience_sync.project.rehearsal import PlanComparison
    from audience_sync.store.rehearsal.rehearse import Comparison, Rehearsal

COLUMNS = (
    Column("table"),
    Column("rows before", right=True, keep=True),
    Column("rows after", right=True, keep=True),
    Column("contents", keep=True),
)
#: What the rows of a part are, if its name does not show it.
_UNITS = {"pending calls": " rows of positions, changes and refusals, which decide what is pending"}
#: Differences of plans that are shown; `--json` has all.
MAX_LISTED = 10


def rehearsal_lines(found: Rehearsal, plans: PlanComparison, screen: Screen) -> list[str]:
    """The receipt for a person."""
    return joined(
        [
            prose(_headline(found, plans), screen),
            labelled(_facts(found, plans), screen),
            [] if found.error else _tables(found.tables, screen),
            [line for text in plans.differences[:MAX_LISTED] for line in prose(f"Plan: {printable(text)}", screen)],
            _next(found, plans, screen),
        ]
    )


def _headline(found: Rehearsal, plans: PlanComparison) -> str:
    store = path_text(found.store)
    if found.error:
        return f"The upgrade of a copy of {store} failed: {found.error}\nThe store itself was not changed."
    moved = f"from schema {found.before} to {found.after}"
    if found.before == found.after:
        moved = f"with schema {found.before}, which is up to date"
    differences = [*found.differences, *(["the plan"] if plans.differences else [])]
    if differences:
        result = f"These would differ: {listed(differences)}."
    elif not found.space.is_enough:
        result = "The disk is too full for it."
    else:
        result = "All contents are as before."
    return f"Rehearsed on a copy: {store}, {moved}. {result} The store was not changed."


def _facts(found: Rehearsal, plans: PlanComparison) -> list[tuple[str, str]]:
    space, seconds = found.space, found.seconds
    free = "" if space.free is None else f", {_megabytes(space.free)} are free"
    views = [each.name for each in found.views if not each.is_same]
    same_views = f"{pluralize(len(found.views), 'view')} with the same rows"
    checks = [f"{each.part}: {each.message}" for each in found.checks if not each.good]
    facts = [(each.name.capitalize(), _counts(each, _UNITS.get(each.name, ""))) for each in found.contents]
    if not found.error:
        facts += [
            ("Views", f"DIFFERENT: {join_names(views)}" if views else same_views),
            ("Check", "; ".join(checks) or f"{pluralize(len(found.checks), 'check')} of the copy passed"),
            ("Calls", _calls(plans)),
            ("Not loaded", "; ".join(map(printable, plans.not_loaded))),
        ]
    took = f"{seconds_text(seconds.upgrade)} for the upgrade, {seconds_text(seconds.copy)} for the copy"
    return [
        *facts,
        ("Time", f"{took}, {seconds_text(seconds.compare)} for the comparison"),
        ("Space", f"{_megabytes(space.needed)} in addition to {_megabytes(space.store)}{free}"),
    ]


def _counts(each: Comparison, unit: str) -> str:
    before, after = (part.rows if part else 0 for part in (each.before, each.after))
    if each.is_same:
        return f"{before:,}{unit}, the same after the upgrade"
    return f"DIFFERENT: {before:,} before, {after:,} after"


def _calls(plans: PlanComparison) -> str:
    after = sum((plans.after or {}).values())
    if plans.reason:
        would = f" A run after the upgrade would send {pluralize(after, 'call')}." if plans.after is not None else ""
        return f"not compared: {printable(plans.reason.rstrip('.'))}.{would}"
    if plans.differences:
        return f"DIFFERENT: {sum((plans.before or {}).values()):,} before, {after:,} after"
    pending = f" The next run sends {pluralize(after, 'call')}, with the upgrade or without." if after else ""
    but = ", except for what could not be loaded" if plans.not_loaded else ""
    return f"none because of the upgrade: the plans before and after are the same{but}.{pending}"


def _tables(tables: Sequence[Comparison], screen: Screen) -> list[str]:
    rows = [
        (
            each.name,
            each.before.rows if each.before else "new",
            each.after.rows if each.after else "gone",
            "" if each.before is None else "same" if each.is_same else "DIFFERENT",
        )
        for each in tables
        if not each.is_same or any(part and part.rows for part in (each.before, each.after))
    ]
    lines = table(COLUMNS, rows, screen)
    empty = len(tables) - len(rows)
    return [*lines, *prose(f"{pluralize(empty, 'table')} without rows.", screen)] if empty else lines


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB"


def _next(found: Rehearsal, plans: PlanComparison, screen: Screen) -> list[str]:
    if found.is_good and plans.differences:
        moved = "If a source has changed since the plan before was made, make it again."
        return prose(f"{moved} Otherwise don't upgrade: report this.", screen)
    if not found.space.is_enough:
        return prose("Make room on the store's disk, and rehearse again.", screen)
    if not found.is_good:
        return prose("Don't upgrade: report this, with the answer of --json. It has no user's data.", screen)
    if found.before == found.after:
        return []
    return advice("To upgrade it:", "audience-sync db upgrade", screen=screen)
