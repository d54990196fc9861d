"""Lay out the answer of ``explain``: the user's values, problems with them, and a block for each destination."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from shlex import quote

from audience_sync.cli.base.layout import (
    Column,
    Screen,
    advice,
    command,
    display_id,
    intro_and_command,
    joined,
    one_line,
    prose,
    table,
    width_of,
)
from audience_sync.cli.base.output import time_text
from audience_sync.cli.views.explain_delivery import destination_lines, destinations_line, shortened, value_text
from audience_sync.history.explain.explain import Explanation
from audience_sync.history.explain.value_history import ValueHistory
from audience_sync.model import PropertyKind
from audience_sync.store.audiences.absences import Absence
from audience_sync.text import listed, pluralize

#: The start of a problem's remedy, and the commands in it.
_REMEDY = re.compile(r" (?=If this is right: |If all that run |If it is right anyway: |To sync it again: )")
_COMMAND = re.compile(r"audience-sync [a-z-]+(?: [^\s.]+)+")


def explanation_lines(found: Explanation, screen: Screen, *, at: datetime | None) -> list[str]:
    user, when = display_id(found.user_id), f" at {time_text(at)} UTC" if at else ""
    if found.erased_at:
        return _erased(found, user, screen)
    if not found.is_known:
        there_is = f"There is no user '{user}' in the store{when}." if user == found.user_id else ""
        there_is = there_is or f"There is no user {user} in the store{when}."
        return prose(f"{there_is}\nIds are compared exactly as written: 007 and 7 are two users.", screen)
    texts = (f"User {user}{when}: {_membership_counts(found)}", destinations_line(found), *_remarks(found))
    return joined([[line for text in texts if text for line in prose(text, screen)], *_blocks(found, screen)])


def _erased(found: Explanation, user: str, screen: Screen) -> list[str]:
    texts = (
        f"User {user} was erased on {time_text(found.erased_at)} UTC.",
        "Only a hash of the id is kept. The user is neither loaded nor sent.",
        "Destinations keep what they had: delete the user there as well.",
    )
    lines = [line for text in texts for line in prose(text, screen)]
    again = f"audience-sync unsuppress {_quoted_id(found.user_id)}"
    return [*lines, "", *advice("To allow this user again:", again, screen=screen)]


def _quoted_id(user: str) -> str:
    """The id, quoted for a command line."""
    return f"-- {quote(user)}" if user.startswith("-") else quote(user)


def _of_kind(found: Explanation, kind: PropertyKind) -> list[ValueHistory]:
    return [each for each in found.versions.values() if each.definition.kind is kind]


def _membership_counts(found: Explanation) -> str:
    audiences = _of_kind(found, PropertyKind.AUDIENCE)
    inside = sum(each.is_present for each in audiences)
    traits = sum(each.is_present for each in _of_kind(found, PropertyKind.COMPUTED_TRAIT))
    return f"in {inside:,} of {pluralize(len(audiences), 'audience')}, {pluralize(traits, 'computed trait')}."


def _remarks(found: Explanation) -> Iterator[str]:
    if found.current_id is not None:
        yield f"A previous id of {display_id(found.current_id.new_id)} (`aliases`), since run {found.current_id.run}."
    for each in found.suppressions:
        where = "by hand" if each.origin == "command" else "by a list of the config"
        if each.holds_at(found.at):
            yield f"Suppressed {where} since {time_text(each.since)} UTC: nothing is sent."
        else:
            yield f"Was suppressed {where} from {time_text(each.since)} to {time_text(each.until)} UTC."


def _blocks(found: Explanation, screen: Screen) -> Iterator[list[str]]:
    yield _audiences(found, screen)
    yield _traits(found, screen)
    yield _problem_lines(found, screen)
    for view in found.destinations:
        yield destination_lines(found, view, screen)
    if found.forgotten:
        yield prose(f"Calls of the runs up to {found.forgotten} are no longer stored (`retention`).", screen)
    if found.destinations:
        each = f"audience-sync explain {_quoted_id(found.user_id)} --json"
        yield intro_and_command("Each property at each destination:", each, screen)


def _problem_lines(found: Explanation, screen: Screen) -> list[str]:
    """Problems as sentences, each command on its own line."""
    lines = list[str]()
    for text in _problems(found):
        facts = _REMEDY.split(text, maxsplit=1)[0]
        lines += prose(facts, screen, hanging="  ")
        lines += [command(each, screen, indent="    ") for each in _COMMAND.findall(text[len(facts) :])]
    return lines


def _problems(found: Explanation) -> Iterator[str]:
    for key, snapshot in found.snapshots.items():
        if snapshot.problem:
            problem = snapshot.problem.replace(f"audience '{key}' is held: ", "").replace(f"audience '{key}': ", "")
            yield f"{key}: {one_line(problem)}"
    for key, each in found.absences.items():
        yield f"{key}: {_absence_text(each)}"
    for key, out in found.holdouts.items():
        share = f" ({out.share * 100:g}%)" if out.share else ""
        yield f"Held out of {key}{share} since run {out.run} ({time_text(out.since)} UTC): never sent `true`."


def _absence_text(absence: Absence) -> str:
    since = f"missing from its source since run {absence.run} ({time_text(absence.since)} UTC)"
    if absence.min_stay is None:
        return f"{since}. The next run sends `false`, unless the user comes back"
    return f"{since}, still a member for now: `false` is sent {absence.min_stay} after that, unless the user comes back"


def _audiences(found: Explanation, screen: Screen) -> list[str]:
    audiences = _of_kind(found, PropertyKind.AUDIENCE)
    ever = [each for each in audiences if each.was_ever_present]
    notes = [[note] if (note := _snapshot_note(found, each)) else [] for each in ever]
    lines = _values("audience", found, ever, notes, screen)
    never = [each.definition.key for each in audiences if not each.was_ever_present]
    return [*lines, *prose(f"Never in: {listed(never)}", screen, hanging="  ")] if never else lines


def _traits(found: Explanation, screen: Screen) -> list[str]:
    traits = [each for each in _of_kind(found, PropertyKind.COMPUTED_TRAIT) if each.was_ever_present]
    if not traits:
        return []
    origins: dict[str, list[str]] = {}
    for each in traits:
        origins.setdefault(_snapshot(found, each, "user"), []).append(each.definition.key)
    origins.pop("", None)
    lines = _values("trait", found, traits, [[] for _ in traits], screen)
    for origin, keys in origins.items():
        which = "All" if len(keys) == len(traits) and len(keys) > 1 else listed(keys)
        lines += prose(f"{which} from {origin}", screen, indent="  ", hanging="  ")
    return lines


def _values(
    heading: str, found: Explanation, versions: Sequence[ValueHistory], notes: Sequence[list[str]], screen: Screen
) -> list[str]:
    """Lay out a table of values. A value that does not fit moves under its row, before the row's note."""
    # On a narrow terminal to the minute.
    times = [time_text(found.times[each.latest.run])[: 16 if screen.is_narrow else None] for each in versions]
    names = [each.definition.key + (" (retired)" if each.definition.retired else "") for each in versions]
    runs = [str(each.latest.run) for each in versions]
    values = [shortened(value_text(each.latest), screen) for each in versions]
    room = None
    if screen.width is not None and versions:
        others = (max(map(width_of, (heading, *names))), width_of(times[0]), max(map(len, ("run", *runs))))
        room = max(screen.width - sum(others) - 3 * 2, width_of("value"))
    fits = [room is None or width_of(each) <= room for each in values]
    cells = [value if fit else "" for value, fit in zip(values, fits, strict=True)]
    under = [([] if fit else [value]) + note for value, fit, note in zip(values, fits, notes, strict=True)]
    columns = (Column(heading), Column("value", keep=True), Column("since (UTC)"), Column("run", right=True))
    return table(columns, list(zip(names, cells, times, runs, strict=True)), screen, notes=under, stack_if_narrow=True)


def _snapshot_note(found: Explanation, versions: ValueHistory) -> str:
    by = found.snapshots[versions.definition.key].confirmed_by
    confirmed = "" if by is None else f"last confirmed by run {by}"
    return ", ".join(filter(None, [_snapshot(found, versions, "member"), confirmed]))


def _snapshot(found: Explanation, versions: ValueHistory, thing: str) -> str:
    """Where the snapshot comes from, and the number of its members or users."""
    counts = found.snapshots[versions.definition.key].counts
    size = pluralize(counts[f"{thing}s"], thing) if f"{thing}s" in counts else ""
    return ", ".join(filter(None, [versions.latest_loaded_from, size]))
